#![no_main]

ringrift_fuzz::target!(ringrift_config::fuzz::hosts);
