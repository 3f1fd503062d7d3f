"""Medical volumes and flat images with masks: sources, fingerprints, prepared cases, and folds by patient."""

from nasplug.data.volumes.arrays import NpzVolumes
from nasplug.data.volumes.brain import BrainTemplate
from nasplug.data.volumes.case import Case, CaseList, Volume
from nasplug.data.volumes.decathlon import Decathlon
from nasplug.data.volumes.division import Parts, divide, divisions
from nasplug.data.volumes.facts import Fingerprint, fingerprint
from nasplug.data.volumes.masks import MaskFolder
from nasplug.data.volumes.nnunet import NnUNet
from nasplug.data.volumes.pairs import NiftiPairs
from nasplug.data.volumes.plan import Plan, propose
from nasplug.data.volumes.prepared import Prepared
from nasplug.data.volumes.settings import Folds, Preparation
from nasplug.data.volumes.source import VolumeSource

__all__ = [
    "BrainTemplate",
    "Case",
    "CaseList",
    "Decathlon",
    "Fingerprint",
    "Folds",
    "MaskFolder",
    "NiftiPairs",
    "NnUNet",
    "NpzVolumes",
    "Parts",
    "Plan",
    "Preparation",
    "Prepared",
    "Volume",
    "VolumeSource",
    "divide",
    "divisions",
    "fingerprint",
    "propose",
]
