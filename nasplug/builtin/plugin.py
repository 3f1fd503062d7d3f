"""Announces what comes with the core."""

from __future__ import annotations

from nasplug.contract.hookspecs import hookimpl
from nasplug.plugins.catalog import Catalog


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only; nothing is imported."""
    catalog.strategy("random", "nasplug.builtin.random:RandomSearch", summary="Draws from the space's prior.")
    catalog.strategy(
        "regularized_evolution",
        "nasplug.builtin.regularized_evolution:RegularizedEvolution",
        summary="Aging evolution: tournament, mutation, and the oldest dies.",
    )
    catalog.strategy(
        "local_search",
        "nasplug.builtin.local_search:LocalSearch",
        summary="Climbs by single changes, and begins anew where no neighbour is better.",
    )
    catalog.strategy(
        "successive_halving",
        "nasplug.builtin.successive_halving:SuccessiveHalving",
        summary="Short trainings for many, long ones for the best of every rung; over any strategy.",
    )
    catalog.strategy(
        "asha",
        "nasplug.builtin.successive_halving:Asha",
        summary="Asynchronous successive halving over any strategy.",
    )
    catalog.strategy(
        "hyperband",
        "nasplug.builtin.hyperband:Hyperband",
        summary="Brackets of successive halving that start on different rungs; over any strategy.",
    )
    catalog.strategy(
        "bohb",
        "nasplug.builtin.bohb:Bohb",
        summary="Hyperband whose architectures come from densities of good and bad results.",
    )
    catalog.strategy(
        "freeze_thaw",
        "nasplug.builtin.freeze_thaw:FreezeThaw",
        summary="Trains step by step whose curve promises most, by a Gaussian process of learning curves.",
    )
    catalog.strategy(
        "population",
        "nasplug.builtin.population:PopulationBased",
        summary="Population-based training: the worst take over weights of the best, and change.",
    )
    catalog.strategy(
        "bananas",
        "nasplug.builtin.bananas:Bananas",
        summary="An ensemble of predictors chooses among mutants of the best: BANANAS, and NPENAS by arguments.",
    )
    catalog.strategy(
        "nsga2",
        "nasplug.builtin.nsga2:Nsga2",
        summary="Genetic algorithm by non-dominated sorting and crowding.",
    )
    catalog.strategy(
        "repeat", "nasplug.builtin.repeat:Repeat", summary="Trains given networks again, each time with a fresh seed."
    )
    catalog.strategy(
        "gradient",
        "nasplug.builtin.gradient:GradientSearch",
        summary="Trains one network of all decisions, and proposes what it favours.",
    )
    catalog.executor(
        "inline", "nasplug.run.executors.inline:InlineExecutor", summary="One job at a time in this process."
    )
    catalog.executor(
        "process", "nasplug.run.executors.process:ProcessExecutor", summary="Reused processes on this machine."
    )
    catalog.exporter(
        "bundle", "nasplug.export.exporter:Bundle", summary="Weights as safetensors, and JSON without code."
    )
    catalog.exporter("onnx", "nasplug.export.exporter:Onnx", summary="One ONNX file, checked against the network.")
    catalog.exporter(
        "program", "nasplug.export.exporter:Program", summary="One file of torch.export, checked against the network."
    )
    catalog.exporter(
        "model_card", "nasplug.export.exporter:ModelCard", summary="A page about the network and its search."
    )
    catalog.exporter(
        "folder",
        "nasplug.export.exporter:Folder",
        summary="A model repository: model.safetensors, config.json and the model card.",
    )
    catalog.exporter(
        "monai_bundle",
        "nasplug.export.exporter:MonaiBundle",
        summary="A MONAI bundle of a segmentation, which monai.bundle runs on NIfTI files.",
    )
    for name, attribute, where in (
        ("tensorboard", "TensorBoardTracker", "TensorBoard"),
        ("mlflow", "MLflowTracker", "MLflow"),
        ("wandb", "WandbTracker", "W&B"),
    ):
        catalog.tracker(
            name,
            f"nasplug.builtin.tracking.{name}:{attribute}",
            summary=f"The study as a run in {where}, with a nested run for each trial.",
        )
    catalog.tracker(
        "jsonl", "nasplug.builtin.trackers:JsonLines", summary="Appends every event to a file as one line of JSON."
    )
    catalog.evaluator(
        "lightning",
        "nasplug.evaluate.lightning:LightningEvaluator",
        summary="Trains with the task's LightningModule and data.",
    )
    catalog.evaluator(
        "cross_validation",
        "nasplug.evaluate.folds:CrossValidation",
        summary="Trains on every fold of a task, each a stage; answers means over the folds.",
    )
    catalog.evaluator(
        "supernet",
        "nasplug.evaluate.supernet.evaluator:SupernetEvaluator",
        summary="Trains all networks of the space together, once, and scores each with shared weights.",
    )
    catalog.task(
        "image_classification",
        "nasplug.tasks.classification:ImageClassification",
        summary="Names the class of an image; scored by val_acc and val_loss.",
    )
    catalog.task(
        "regression",
        "nasplug.tasks.supervised:Regression",
        summary="Predicts numbers from rows of a table or from images; scored by val_rmse.",
    )
    catalog.task(
        "multilabel",
        "nasplug.tasks.supervised:Multilabel",
        summary="Finds the labels of a row or an image, any number of which may be right; scored by val_f1.",
    )
    catalog.task(
        "tabular",
        "nasplug.tasks.supervised:Tabular",
        summary="Classifies rows of a table; regression and labels by `targets`.",
    )
    catalog.task(
        "lightning", "nasplug.tasks.lightning_task:LightningTask", summary="Your own LightningModule and data module."
    )
    catalog.task(
        "segmentation",
        "nasplug.tasks.segmentation.task:Segmentation",
        summary="Says the class of every pixel or voxel, on slices or volumes; scored by val_dice.",
    )
    catalog.data(
        "decathlon",
        "nasplug.data.volumes.decathlon:Decathlon",
        summary="Volumes in a folder of the Medical Segmentation Decathlon.",
    )
    catalog.data("nnunet", "nasplug.data.volumes.nnunet:NnUNet", summary="Volumes in a raw folder of nnU-Net.")
    catalog.data(
        "nifti_pairs",
        "nasplug.data.volumes.pairs:NiftiPairs",
        summary="Pairs of NIfTI files by a pattern of names, such as those of BIDS.",
    )
    catalog.data(
        "npz_volumes",
        "nasplug.data.volumes.arrays:NpzVolumes",
        summary="Volumes or slices with masks in one .npz file.",
    )
    catalog.data(
        "mask_folder", "nasplug.data.volumes.masks:MaskFolder", summary="Flat images and masks in two folders."
    )
    catalog.data(
        "brain_template",
        "nasplug.data.volumes.brain:BrainTemplate",
        summary="An average brain with its tissues, from nilearn; needs no file.",
    )
    catalog.data("digits", "nasplug.data.digits:Digits", summary="scikit-learn's 1797 digits of 8x8; needs no file.")
    catalog.data("npz", "nasplug.data.npz:Npz", summary="Arrays in one .npz file.")
    catalog.data("folder", "nasplug.data.folder:ImageFolder", summary="A folder of images per class.")
    catalog.data("table", "nasplug.data.table:Table", summary="Rows of a CSV, Parquet or npz file with target columns.")
    catalog.data("idx", "nasplug.data.idx:Idx", summary="idx files: MNIST and its family.")
    catalog.data("cifar", "nasplug.data.cifar:Cifar", summary="CIFAR-10 and CIFAR-100 in torchvision's layout.")
    catalog.space("tabular_mlp", "nasplug.spaces.mlp:Mlp", summary="Multi-layer perceptrons, for rows of a table.")
    catalog.space(
        "resnet",
        "nasplug.spaces.resnet:ResNetSpace",
        summary="Residual networks for images of any size, from tiny ones on.",
    )
    catalog.space("timm", "nasplug.spaces.timm:TimmSpace", summary="timm models and their keyword arguments.")
    catalog.space(
        "unet",
        "nasplug.spaces.unet.space:UNetSpace",
        summary="U-Nets for slices or volumes: depth, widths, blocks, kernels, skips, normalisation.",
    )
    catalog.space(
        "monai", "nasplug.spaces.medical:MonaiSpace", summary="Networks of MONAI by name, configured for the task."
    )
    catalog.space(
        "dints",
        "nasplug.spaces.dints:DiNTSSpace",
        summary="Grids of cells between resolutions for segmentation, as MONAI builds them for DiNTS.",
    )
    catalog.space(
        "with_hyperparameters",
        "nasplug.spaces.hyperparameters:HyperparameterSpace",
        summary="Any space together with hyperparameters of the training.",
    )
    catalog.wrapper(
        "inherit.overlap",
        "nasplug.builtin.overlap:Overlap",
        summary="Starts from weights of another architecture: copies what both networks have.",
    )
    catalog.wrapper(
        "pretrained",
        "nasplug.builtin.pretrained:Pretrained",
        summary="Starts trainings from weights of a hub's cache, a file or a checkpoint.",
    )
    catalog.cost("params", "nasplug.builtin.counts:Params", summary="Number of parameters.")
    catalog.cost("macs", "nasplug.builtin.counts:Macs", summary="Multiply-accumulates of one inference.")
    catalog.cost("target", "nasplug.builtin.target:TargetCost", summary="Estimates of the run's hardware target.")
    catalog.target("cpu", "nasplug.builtin.target:Cpu", summary="Latency measured on this machine's CPU.")
    catalog.target("cuda", "nasplug.builtin.target:Cuda", summary="Latency measured on a CUDA device.")
    catalog.target(
        "onnxruntime",
        "nasplug.builtin.deployed:OnnxRuntime",
        summary="Latency and peak memory of the ONNX file in onnxruntime, in floating point or eight bits.",
    )
    catalog.target(
        "executorch",
        "nasplug.builtin.deployed:ExecuTorch",
        summary="Latency and peak memory of the ExecuTorch program for XNNPACK.",
    )
    catalog.target(
        "command",
        "nasplug.builtin.deployed:Command",
        summary="What a program of your own measures: the exported file on its stdin, JSON on its stdout.",
    )
    catalog.wrapper(
        "fraction", "nasplug.builtin.fraction:Fraction", summary="Trains on a seeded part of the training data."
    )
    catalog.stopper(
        "median",
        "nasplug.builtin.stoppers:MedianStopper",
        summary="Prunes trainings worse than the median of earlier trials.",
    )
    catalog.stopper("patience", "nasplug.builtin.stoppers:Patience", summary="Ends trainings that no longer improve.")
