"""Exports: the served model in formats for devices. docs/exports.md describes the files."""
