"""Tests of everything in Nix that can be tested without nixpkgs, and of the module where its `lib` is at hand."""
