#![no_main]

ringrift_fuzz::target!(ringrift_watch::fuzz::hello);
