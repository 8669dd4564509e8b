#!/usr/bin/env python3
"""Trains and evaluates on SpeechCommands: see README.md beside this file."""

from speechbrain_ptssnn.recipe import main

if __name__ == "__main__":
    main("SpeechCommands", __file__)
