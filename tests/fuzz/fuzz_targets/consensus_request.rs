#![no_main]

ringrift_fuzz::target!(ringrift_consensus::fuzz::request);
