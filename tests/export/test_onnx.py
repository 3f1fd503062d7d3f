"""Exports to ONNX say nothing beside the result: the exporter's own chatter is not the user's."""

from __future__ import annotations

import logging

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
nn = torch.nn

from nasplug.contract.errors import TaskError  # noqa: E402
from nasplug.export.onnx import exported  # noqa: E402


def test_the_exporter_is_quiet_and_its_logger_is_as_before(tmp_path, monkeypatch, caplog):
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    real = torch.onnx.export

    def chatty(*arguments, **options):
        logger.warning("a version that nobody asked for")
        logger.error("something that matters")
        return real(*arguments, **options)

    monkeypatch.setattr(torch.onnx, "export", chatty)
    with caplog.at_level(logging.WARNING):
        exported(nn.Linear(3, 2).eval(), torch.zeros(2, 3), tmp_path / "net.onnx")
    said = [record.getMessage() for record in caplog.records]
    assert "a version that nobody asked for" not in said
    assert "something that matters" in said
    assert logger.level == before


def test_the_logger_is_as_before_when_the_export_fails(tmp_path, monkeypatch):
    logger = logging.getLogger("torch.onnx")
    before = logger.level

    def broken(*arguments, **options):
        raise RuntimeError("no operator")

    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(TaskError, match="no operator"):
        exported(nn.Linear(3, 2).eval(), torch.zeros(2, 3), tmp_path / "net.onnx")
    assert logger.level == before
