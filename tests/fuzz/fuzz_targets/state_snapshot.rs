#![no_main]

ringrift_fuzz::target!(ringrift_state::fuzz::snapshot);
