"""A tiny ONNX file, written by hand: protocol buffers are simple, and the package onnx is large.

Field numbers are those of onnx.proto (ModelProto, GraphProto, NodeProto, ValueInfoProto).
"""


def _number(value: int) -> bytes:
    """A variable-length integer."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, content: bytes | str | int) -> bytes:
    if isinstance(content, int):
        return _number(number << 3) + _number(content)
    data = content.encode() if isinstance(content, str) else content
    return _number(number << 3 | 2) + _number(len(data)) + data


def _value(name: str, *sizes: int | str) -> bytes:
    dims = b"".join(_field(1, _field(1, size) if isinstance(size, int) else _field(2, size)) for size in sizes)
    tensor = _field(1, 1) + _field(2, dims)  # of float32
    return _field(1, name) + _field(2, _field(1, tensor))


def grey_model() -> bytes:
    """A model from `pixels` [1, 3, height, width] to `predicted_depth` [1, 1, height, width], the mean of channels."""
    axes = _field(1, "axes") + _field(8, 1) + _field(20, 7)  # of numbers
    node = _field(1, "pixels") + _field(2, "predicted_depth") + _field(4, "ReduceMean") + _field(5, axes)
    graph = (
        _field(1, node)
        + _field(2, "grey")
        + _field(11, _value("pixels", 1, 3, "height", "width"))
        + _field(12, _value("predicted_depth", 1, 1, "height", "width"))
    )
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))
