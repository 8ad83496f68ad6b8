"""The served model: its signatures, and the answers that it is checked against."""
