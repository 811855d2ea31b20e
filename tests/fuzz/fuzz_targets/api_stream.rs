#![no_main]

ringrift_fuzz::target!(ringrift_api::fuzz::stream);
