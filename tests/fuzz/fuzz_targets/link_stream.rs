#![no_main]

ringrift_fuzz::target!(ringrift_link::fuzz::stream);
