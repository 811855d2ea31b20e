#![no_main]

ringrift_fuzz::target!(ringrift_jobs::fuzz::kept);
