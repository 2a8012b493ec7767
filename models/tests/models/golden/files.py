"""What the scripts of this folder share: a safetensors file of PyTorch's tensors."""
import json
import struct


def save(path, tensors, metadata=None):
    """A safetensors file: the length of a JSON header, the header, little-endian F32 values."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, t in tensors.items():
        raw = t.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
