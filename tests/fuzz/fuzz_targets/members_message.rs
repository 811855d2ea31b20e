#![no_main]

ringrift_fuzz::target!(ringrift_members::fuzz::message);
