#![no_main]

ringrift_fuzz::target!(ringrift_exchange::fuzz::frames);
