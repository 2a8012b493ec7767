#!/usr/bin/env python3
"""A small BPE as the trainer writes it, on one line, and a text."""

import json

printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
letters = [chr(b) for b in printable] + [chr(0x100 + i) for i in range(256 - len(printable))]
merges = [["t", "o"], ["Ġ", "to"], ["b", "e"], ["Ġto", "be"]]
vocab = {token: i for i, token in enumerate(letters + ["".join(pair) for pair in merges])}
level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None}
model |= {"fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": merges}
whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None}
whole |= {"pre_tokenizer": level, "post_processor": None, "decoder": level, "model": model}
print(json.dumps({"tokenizer": "bpe", "vocabulary": whole}, ensure_ascii=False))
print("to be  tobe totobe 12's\n")
