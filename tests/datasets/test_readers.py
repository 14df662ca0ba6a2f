import io
import struct
import sys
import zlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from keras_selfaux.datasets._readers import read_array


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def tiff(array):
    content = io.BytesIO()
    PIL.Image.fromarray(array).save(content, "TIFF")
    return content.getvalue()


def png(bits, colour_type, row):
    """Returns a PNG file of one row, whatever its bits and colours."""

    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", 8, 1, bits, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", bytes(range(24)))
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_values_and_type(tmp_path, dtype, channels):
    array = np.arange(12 * channels, dtype=dtype).reshape(3, 4, channels)
    path = written(tmp_path, "0.png", tf.io.encode_png(array).numpy())
    found = read_array(path)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_tiff_keeps_values_and_type(tmp_path, dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype) * 20
    found = read_array(written(tmp_path, "0.tif", tiff(array)))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("suffix", [".npy", ".NPY"])
def test_npy(tmp_path, suffix):
    content = io.BytesIO()
    np.save(content, np.float64([[0.1, np.nan]]))
    path = written(tmp_path, f"0{suffix}", content.getvalue())
    np.testing.assert_array_equal(read_array(path), [[0.1, np.nan]])


def test_jpeg(tmp_path):
    image = np.full((8, 8, 3), 90, np.uint8)
    content = tf.io.encode_jpeg(image, quality=100).numpy()
    found = read_array(written(tmp_path, "0.jpeg", content))
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found.astype(int), image, atol=2)


RANDOM = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("0.png", b"", "whole PNG file .*no PNG header"),
        ("0.png", b"\xff\xd8" + bytes(30), "no PNG header"),
        ("0.png", png(8, 3, bytes(8)), "8 bits, a palette"),
        ("0.png", png(4, 0, bytes(4)), "4 bits, no palette"),
        ("0.png", tf.io.encode_png(RANDOM).numpy()[:-99], "whole PNG file"),
        ("0.jpg", tf.io.encode_jpeg(RANDOM).numpy()[:-99], "whole JPEG file"),
        ("0.tif", b"II*\0", "whole TIFF file"),
        ("0.tif", tiff(RANDOM)[:300], "whole TIFF file"),
        ("0.npy", b"\x93NUMPY", "whole .npy file"),
    ],
)
def test_broken_file(tmp_path, name, content, message):
    path = written(tmp_path, name, content)
    with pytest.raises(ValueError, match=rf"{path} must be .*{message}"):
        read_array(path)


def test_tiff_without_pillow(tmp_path, monkeypatch):
    path = written(tmp_path, "0.tif", tiff(RANDOM))
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(
        ValueError, match=r"0\.tif .* only with Pillow.*pip inst"
    ):
        read_array(path)
