#![no_main]

ringrift_fuzz::target!(ringrift_p2p::fuzz::body);
