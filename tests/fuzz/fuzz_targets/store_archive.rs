#![no_main]

ringrift_fuzz::target!(ringrift_store::fuzz::archive);
