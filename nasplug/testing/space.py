"""What every search space must keep to, and what each capability it claims promises."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nasplug.contract.errors import NasplugError, SpaceError
from nasplug.contract.io import Inputs, inputs_of
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import (
    Crosses,
    Enumerates,
    HasConditions,
    HasGraph,
    HasLabels,
    HasNeighbours,
    HasVector,
    HasWorkload,
    Mutates,
    ReadsGraph,
    Tabulates,
    bind,
)
from nasplug.contract.records import Architecture, freeze
from nasplug.contract.wording import plural
from nasplug.spaces.graph import Graph
from nasplug.testing.networks import assert_trains, fingerprint, seeded_build
from nasplug.testing.randomness import untouched_random_state
from nasplug.testing.synthetic import Shapes

if TYPE_CHECKING:
    from nasplug.contract.io import OutputKind
    from nasplug.contract.protocols import SearchSpace, Task


SEEDS = st.integers(min_value=0, max_value=2**32 - 1)
#: The same examples in every run; a subclass shares the test function with its base, which Hypothesis would question.
PROPERTY = settings(
    max_examples=30,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a smaller seed is not a simpler example
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)
#: Enumerable spaces up to this size are walked through completely.
WALK = 3000


class SpaceConformance:
    """Subclass it, give `make_space`, and change the attributes that do not fit.

    Attributes:
        input_shapes: Inputs that the space must build networks for, each without the batch dimension.
        outputs: Number of outputs of these networks.
        bound_task: Method that makes the task of a space whose choices come from it; None for tasks that are shapes.
        legal: Genotypes of the space that other spaces would take for garbage, such as an empty one.
        builds: Number of random architectures built for every input shape.
        one_decision: Whether `mutate` changes exactly one entry of the vector, as the protocol says; False for spaces
            that must repair a genotype after a change.
    """

    input_shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((3, 32, 32), (1, 28, 28))
    outputs: ClassVar[int] = 10
    bound_task: ClassVar[Callable[[Any], Task] | None] = None
    legal: ClassVar[tuple[Json, ...]] = ()
    builds: ClassVar[int] = 4
    one_decision: ClassVar[bool] = True

    def make_space(self) -> SearchSpace:
        """A fresh space, configured the same way every time."""
        raise NotImplementedError("give make_space()")

    def fresh_space(self) -> Any:
        """A fresh space that has seen its task, if it needs one."""
        space = self.make_space()
        if self.bound_task is not None:
            bind(space, self.bound_task())
        return space

    @cached_property
    def space(self) -> Any:
        """The space under test."""
        return self.fresh_space()

    @property
    def output(self) -> OutputKind:
        """Kind of output of the networks: a vector, unless the space says that it produces others alone."""
        produces: tuple[OutputKind, ...] = getattr(self.space, "produces", None) or ("vector",)
        return "vector" if "vector" in produces else produces[0]

    def need_networks(self) -> None:
        """Skips the test without torch, or if the space says that its results stand in tables only."""
        if getattr(self.space, "produces", None) == ():
            pytest.skip("the space has results in tables only")
        pytest.importorskip("torch", reason="networks are built with torch")

    def shapes(self, input_shape: tuple[int, ...]) -> Any:
        """A task that is nothing but shapes, for inputs of this shape; the space's own, if it needs one."""
        return Shapes(input_shape, self.outputs, self.output) if self.bound_task is None else self.bound_task()

    def taken_shapes(self) -> list[tuple[int, ...]]:
        """Those of `input_shapes` that the space takes, or the one that it was made for, its `inputs`."""
        check = getattr(self.space, "check_inputs", None)
        taken = []
        for shape in self.input_shapes:
            with contextlib.suppress(NasplugError):
                if check is not None:
                    check(inputs_of(self.shapes(shape)))
                taken.append(shape)
        own = getattr(self.space, "inputs", None)
        if not taken and isinstance(own, Inputs):
            taken = [own.args[0].shape]
        assert taken, f"the space takes none of the inputs {self.input_shapes}; set `input_shapes`"
        return taken

    def draw(self, seed: int) -> Architecture:
        """The architecture that the space samples from this seed."""
        architecture: Architecture = self.space.sample(np.random.default_rng(seed))
        return architecture

    def claims(self, capability: type) -> Any:
        """The space, if it has the capability; skips the test otherwise."""
        if not isinstance(self.space, capability):
            pytest.skip(f"the space does not claim {capability.__name__}")
        return self.space

    def decisions(self, architecture: Architecture) -> dict[str, Any]:
        """The decisions that an architecture makes, with their values, for spaces with `HasVector`."""
        if isinstance(self.space, HasConditions):
            return dict(self.space.active(architecture))
        vector = self.space.vector(architecture)
        return {choice.name: choice.value(entry) for choice, entry in zip(self.space.choices, vector, strict=True)}

    def one_decision_apart(self, one: Architecture, other: Architecture) -> None:
        """Fails unless the second differs from the first in one decision, and in what that one opens or closes."""
        before, after = self.decisions(one), self.decisions(other)
        changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
        turned = before.keys() ^ after.keys()
        if not self.one_decision:
            assert changed or turned, "nothing changed"
            return
        assert len(changed) == 1, f"{plural(len(changed), 'decision')} changed"
        for choice in self.space.choices:
            if choice.name in turned:
                causes = (changed | turned) & set(choice.when or ())
                assert causes, f"{choice.name!r} was opened or closed, and nothing that it depends on changed"

    # -- genotypes -----------------------------------------------------------------------------------------------

    @PROPERTY
    @given(seed=SEEDS)
    def test_samples_are_valid(self, seed: int) -> None:
        """Whatever is drawn is in the space, carries its name, and is drawn again from the same seed."""
        architecture = self.draw(seed)
        self.space.validate(architecture)
        assert architecture.space == self.space.name
        assert freeze(architecture.genotype) == architecture.genotype
        again = self.fresh_space().sample(np.random.default_rng(seed))
        assert (again, again.genotype) == (architecture, architecture.genotype)

    def test_sampling_uses_the_given_generator_only(self) -> None:
        """Sampling leaves global generators alone, and different seeds give different architectures."""
        with untouched_random_state("sample()"):
            drawn = [self.draw(seed) for seed in range(50)]
        size = self.space.size() if isinstance(self.space, Enumerates) else None
        assert len(set(drawn)) > 1 or size == 1

    @PROPERTY
    @given(seed=SEEDS)
    def test_canonical_form(self, seed: int) -> None:
        """Making an architecture from a genotype gives the same key, as often as it is done."""
        architecture = self.draw(seed)
        again = self.space.architecture(architecture.genotype)
        assert again.key == architecture.key
        assert self.space.architecture(again.genotype).key == architecture.key

    @PROPERTY
    @given(seed=SEEDS)
    def test_json_round_trip(self, seed: int) -> None:
        """Architectures survive the way into a file and back."""
        architecture = self.draw(seed)
        again = Architecture.from_json(json.loads(json.dumps(architecture.to_json(), allow_nan=False)))
        assert (again, again.genotype) == (architecture, architecture.genotype)
        self.space.validate(again)

    @pytest.mark.parametrize("garbage", [None, 0, 1.5, True, "nonsense", (), ("nonsense",), (None,) * 3, ((((),),),)])
    def test_garbage_is_refused(self, garbage: Json) -> None:
        """Invalid genotypes raise SpaceError, not whatever Python stumbles over first."""
        if garbage in self.legal:
            self.space.validate(self.space.architecture(garbage))
            return
        with pytest.raises(SpaceError):
            self.space.architecture(garbage)

    def test_foreign_architectures_are_refused(self) -> None:
        """Another space's name, and a key that does not belong to the genotype."""
        architecture = self.draw(0)
        for wrong in (
            Architecture("another_space", architecture.genotype, architecture.key),
            Architecture(architecture.space, architecture.genotype, architecture.key + "?"),
        ):
            with pytest.raises(SpaceError):
                self.space.validate(wrong)

    # -- networks ------------------------------------------------------------------------------------------------

    def test_networks_run_forward_and_backward(self) -> None:
        """Built networks take a batch, give `outputs` finite numbers per input, and their weights get gradients."""
        self.need_networks()
        for shape, seed in itertools.product(self.taken_shapes(), range(self.builds)):
            architecture = self.draw(seed)
            assert_trains(seeded_build(self.space, architecture, self.shapes(shape)), shape, self.outputs, self.output)

    def test_building_is_repeatable(self) -> None:
        """The same architecture under the same seed gives the same weights; the JSON copy builds the same too."""
        self.need_networks()
        task = self.shapes(self.input_shapes[0])
        architecture = self.draw(0)
        copy = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
        first = fingerprint(seeded_build(self.space, architecture, task))
        assert fingerprint(seeded_build(self.fresh_space(), copy, task)) == first

    def test_equal_keys_build_equal_networks(self) -> None:
        """Two genotypes with one key are one network: the same parameters in the same shapes."""
        self.need_networks()
        task = self.shapes(self.input_shapes[0])
        by_key: dict[str, Architecture] = {}
        pairs = []
        for seed in range(200):
            architecture = self.draw(seed)
            other = by_key.setdefault(architecture.key, architecture)
            if other.genotype != architecture.genotype:
                pairs.append((other, architecture))
        for first, second in pairs[: self.builds]:
            shapes = [
                sorted(tuple(p.shape) for p in seeded_build(self.space, item, task).parameters())
                for item in (first, second)
            ]
            assert shapes[0] == shapes[1], f"{first.genotype} and {second.genotype} share the key {first.key}"

    # -- capabilities --------------------------------------------------------------------------------------------

    @PROPERTY
    @given(seed=SEEDS)
    def test_mutates(self, seed: int) -> None:
        """A mutant is valid, comes from the given generator, and differs in one decision."""
        space = self.claims(Mutates)
        architecture = self.draw(seed)
        genotype = architecture.genotype
        with untouched_random_state("mutate()"):
            mutant = space.mutate(architecture, np.random.default_rng(seed))
        space.validate(mutant)
        assert architecture.genotype == genotype, "mutate() changes its argument"
        assert space.mutate(architecture, np.random.default_rng(seed)).genotype == mutant.genotype
        if isinstance(space, HasVector):
            made = self.decisions(architecture)
            if any(choice.continuous or len(choice.options) > 1 for choice in space.choices if choice.name in made):
                self.one_decision_apart(architecture, mutant)

    def test_mutation_leaves_the_spot(self) -> None:
        """Some mutants are other networks than their parents."""
        space = self.claims(Mutates)
        pairs = [(self.draw(seed), np.random.default_rng(seed)) for seed in range(40)]
        size = space.size() if isinstance(space, Enumerates) else None
        assert any(space.mutate(parent, rng).key != parent.key for parent, rng in pairs) or size == 1

    @PROPERTY
    @given(first=SEEDS, second=SEEDS)
    def test_crosses(self, first: int, second: int) -> None:
        """A child is valid and takes every decision from one of its parents; equal parents have their own child."""
        space = self.claims(Crosses)
        one, other = self.draw(first), self.draw(second)
        with untouched_random_state("cross()"):
            child = space.cross(one, other, np.random.default_rng(first))
        space.validate(child)
        assert space.cross(one, one, np.random.default_rng(second)).key == one.key
        if isinstance(space, HasVector) and self.one_decision:
            parents = [self.decisions(one), self.decisions(other)]
            for name, value in self.decisions(child).items():
                known = [parent[name] for parent in parents if name in parent]
                assert not known or value in known, f"{name!r} comes from neither parent"

    def test_enumerates(self) -> None:
        """The walk is repeatable and valid, as long as `size` says, and meets what is sampled."""
        space = self.claims(Enumerates)
        size = space.size()
        assert isinstance(size, int)
        assert size >= 1
        walked = list(itertools.islice(iter(space), min(size + 1, WALK)))
        assert walked == list(itertools.islice(iter(space), len(walked)))
        assert len({architecture.genotype for architecture in walked}) == len(walked), "a genotype comes twice"
        for architecture in walked[:200]:
            space.validate(architecture)
        if size < WALK:
            assert len(walked) == size
            keys = {architecture.key for architecture in walked}
            assert {self.draw(seed).key for seed in range(50)} <= keys

    @PROPERTY
    @given(seed=SEEDS)
    def test_has_vector(self, seed: int) -> None:
        """Vector and architecture turn into each other."""
        space = self.claims(HasVector)
        architecture = self.draw(seed)
        vector = space.vector(architecture)
        assert len(vector) == len(space.choices)
        for entry, choice in zip(vector, space.choices, strict=True):
            inside = choice.domain.contains(entry) if choice.continuous else 0 <= entry < len(choice.options)
            assert inside, f"{entry!r} is not an entry of choice {choice.name!r}"
        again = space.from_vector(vector)
        assert again.key == architecture.key
        assert tuple(space.vector(again)) == tuple(vector)

    @PROPERTY
    @given(seed=SEEDS)
    def test_has_conditions(self, seed: int) -> None:
        """What is active follows from the conditions, and the entries of what is not do not count."""
        space = self.claims(HasConditions)
        architecture, rng = self.draw(seed), np.random.default_rng(seed)
        active = space.active(architecture)
        vector = list(space.vector(architecture))
        other = list(vector)
        for position, choice in enumerate(space.choices):
            met = all(name in active and active[name] in values for name, values in (choice.when or {}).items())
            assert (choice.name in active) == met, (
                f"{choice.name!r} is {'inactive' if met else 'active'}, against its condition"
            )
            if met:
                assert active[choice.name] == choice.value(vector[position])
            else:
                blank = choice.domain.low if choice.continuous else 0
                assert vector[position] == blank, f"{choice.name!r} is inactive, and its entry is {vector[position]!r}"
                other[position] = choice.gene(choice.domain.sample(rng))
        assert list(active) == [choice.name for choice in space.choices if choice.name in active]
        assert space.from_vector(other).key == architecture.key, "entries of inactive choices change the key"
        assert list(space.vector(space.from_vector(other))) == vector

    @PROPERTY
    @given(seed=SEEDS)
    def test_has_labels(self, seed: int) -> None:
        """A label is one line of text, and always the same."""
        space = self.claims(HasLabels)
        label = space.label(self.draw(seed))
        assert isinstance(label, str)
        assert label.strip()
        assert label.isprintable()
        assert label == space.label(self.draw(seed))

    @PROPERTY
    @given(seed=SEEDS)
    def test_has_graph(self, seed: int) -> None:
        """From `input` to `output`, every node on a way between them; forward edges make it acyclic."""
        space = self.claims(HasGraph)
        graph = space.graph(self.draw(seed))
        assert isinstance(graph, Graph)
        assert (graph.labels[0], graph.labels[-1]) == ("input", "output")
        assert len(set(graph.edges)) == len(graph.edges), "an edge comes twice"
        reached, last = {0}, len(graph.labels) - 1
        for source, target in sorted(graph.edges):
            if source in reached:
                reached.add(target)
        leads = {last}
        for source, target in sorted(graph.edges, key=lambda edge: -edge[1]):
            if target in leads:
                leads.add(source)
        assert reached == leads == set(range(len(graph.labels))), "a node is not on a way from input to output"
        assert space.graph(self.draw(seed)) == graph

    @PROPERTY
    @given(seed=SEEDS)
    def test_reads_graph(self, seed: int) -> None:
        """Architecture and graph turn into each other, and graphs outside the space are refused."""
        space = self.claims(ReadsGraph)
        architecture = self.draw(seed)
        graph = space.graph(architecture)
        assert space.from_graph(graph).key == architecture.key
        renamed = Graph(("input", *("no such operation" for _ in graph.labels[1:-1]), "output"), graph.edges)
        headless = Graph(("no such operation", *graph.labels[1:]), graph.edges)
        for foreign in (headless, *([renamed] if renamed != graph else [])):
            with pytest.raises(SpaceError):
                space.from_graph(foreign)

    @PROPERTY
    @given(seed=SEEDS)
    def test_has_neighbours(self, seed: int) -> None:
        """Neighbours are valid, distinct, one decision away, and none is the architecture itself."""
        space = self.claims(HasNeighbours)
        architecture = self.draw(seed)
        found = space.neighbours(architecture)
        keys = [neighbour.key for neighbour in found]
        assert len(set(keys)) == len(keys), "a neighbour comes twice"
        assert architecture.key not in keys
        assert keys == [neighbour.key for neighbour in space.neighbours(architecture)]
        for neighbour in found[:20]:
            space.validate(neighbour)
            if isinstance(space, HasVector) and self.one_decision:
                self.one_decision_apart(architecture, neighbour)

    @PROPERTY
    @given(seed=SEEDS)
    def test_tabulates(self, seed: int) -> None:
        """Architecture and code turn into each other."""
        space = self.claims(Tabulates)
        architecture = self.draw(seed)
        code = space.code(architecture)
        assert type(code) is int
        assert space.from_code(code).key == architecture.key
        assert space.table_columns

    def test_has_workload(self) -> None:
        """The workload from the encoding is the one that is read off the built network."""
        space = self.claims(HasWorkload)
        self.need_networks()
        from nasplug.workloads.extract import extract

        for shape, seed in itertools.product(self.taken_shapes(), range(self.builds)):
            architecture, task = self.draw(seed), self.shapes(shape)
            found = extract(seeded_build(space, architecture, task), shape)
            assert space.workload(architecture, task).differences(found) == []
