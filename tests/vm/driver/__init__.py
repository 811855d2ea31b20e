"""Runs scenarios written in the NixOS test driver's dialect on Debian machines in systemd-nspawn."""
