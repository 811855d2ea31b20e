#![no_main]

ringrift_fuzz::target!(ringrift_models::fuzz::headers);
