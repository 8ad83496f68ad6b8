"""Backbones: how each row of the table is built, where its weights come from, which layers train."""
