"""Draws by weight: in proportion, from a seed, without repetition within an epoch, and from where they stopped."""

import collections
import itertools
import os
from unittest import mock

import admire
from admire._sampler import permuted
from support import InFolder

DATA = {"code": [f"code {i}" for i in range(40)], "web": [f"web {i}" for i in range(100)]}


def trial(**facts):
    return admire.trial(default={"weights": {"code": 0.25, "web": 0.75}, "tokens": 4096, "seed": 5, **facts})


def drawn(sampler):
    return [sampler.dataset[index] for index in sampler]


def counts(examples):
    return collections.Counter(example.split()[0] for example in examples)


class Permutations(InFolder):
    def test_every_place_is_taken_once_and_keys_differ(self):
        for size in (1, 2, 3, 16, 17, 1000):
            for key in (b"a", b"b"):
                images = [permuted(place, size, key) for place in range(size)]
                self.assertEqual(sorted(images), list(range(size)))
        self.assertNotEqual([permuted(i, 1000, b"a") for i in range(9)], [permuted(i, 1000, b"b") for i in range(9)])

    def test_places_are_spread_evenly(self):
        # The image of one place over many keys: each of eight numbers 500 times, with a standard deviation of 21.
        images = collections.Counter(permuted(3, 8, str(key).encode()) for key in range(4000))
        self.assertTrue(all(abs(count - 500) < 100 for count in images.values()), images)


class Draws(InFolder):
    def test_domains_come_in_proportion_to_their_weights(self):
        drawn_from = counts(drawn(trial().sampler(DATA, samples=10_000)))
        # 2500 with a standard deviation of 43.
        self.assertLess(abs(drawn_from["code"] - 2500), 200)

    def test_the_seed_decides_and_not_the_order_of_the_datasets(self):
        first = drawn(trial().sampler(DATA, samples=50))
        self.assertEqual(first, drawn(trial().sampler(dict(reversed(DATA.items())), samples=50)))
        self.assertNotEqual(first, drawn(trial(seed=6).sampler(DATA, samples=50)))

    def test_an_epoch_has_every_example_once_and_the_next_another_order(self):
        web = [example for example in drawn(trial().sampler(DATA, samples=400)) if example.startswith("web")]
        first, second = web[:100], web[100:200]
        self.assertEqual((sorted(first), sorted(second)), (sorted(DATA["web"]), sorted(DATA["web"])))
        self.assertNotEqual(first, second)

    def test_the_tokens_of_the_trial_say_how_many(self):
        self.assertEqual(len(trial().sampler(DATA, tokens_per_sample=64)), 64)
        with self.assertRaisesRegex(TypeError, "samples, or tokens_per_sample"):
            trial().sampler(DATA)
        with self.assertRaisesRegex(TypeError, "samples, or tokens_per_sample"):
            trial(tokens=None).sampler(DATA, tokens_per_sample=64)

    def test_the_next_iteration_goes_on(self):
        one, two = trial().sampler(DATA, samples=64), trial().sampler(DATA, samples=32)
        self.assertEqual(drawn(one), drawn(two) + drawn(two))

    def test_a_sampler_goes_on_from_its_state(self):
        whole = drawn(trial().sampler(DATA, samples=300))
        begun = trial().sampler(DATA, samples=300)
        head = [begun.dataset[index] for index in itertools.islice(begun, 170)]
        resumed = trial().sampler(DATA, samples=300)
        resumed.load_state_dict(begun.state_dict())
        self.assertEqual(head + drawn(resumed), whole)

    def test_processes_share_the_examples(self):
        samplers = [trial().sampler(DATA, samples=80, rank=rank, num_replicas=2) for rank in (0, 1)]
        parts = [drawn(sampler) for sampler in samplers]
        self.assertEqual([len(part) for part in parts], [40, 40])
        # In the first epoch of both domains nothing comes twice.
        self.assertEqual(len(set(parts[0]) | set(parts[1])), 80)
        with mock.patch.dict(os.environ, {"RANK": "1", "WORLD_SIZE": "2"}):
            self.assertEqual(drawn(trial().sampler(DATA, samples=80)), parts[1])
        with self.assertRaisesRegex(ValueError, "too few"):
            trial().sampler(DATA, samples=1, num_replicas=2)

    def test_a_small_run_draws_from_the_beginning_only(self):
        small = trial(unique_tokens={"code": 640, "web": 1280})
        examples = set(drawn(small.sampler(DATA, tokens_per_sample=64)))
        self.assertEqual(examples, {*DATA["code"][:10], *DATA["web"][:20]})
        with self.assertRaisesRegex(ValueError, "code has 40 samples, and the trial needs 100"):
            trial(unique_tokens={"code": 6400, "web": 64}).sampler(DATA, tokens_per_sample=64)
        with self.assertRaisesRegex(TypeError, "match_repetition"):
            small.sampler(DATA, samples=10)

    def test_domains_without_weight_need_no_data_and_others_do(self):
        only = trial(weights={"code": 0.0, "web": 1.0})
        self.assertEqual(set(counts(drawn(only.sampler({"web": DATA["web"]}, samples=50)))), {"web"})
        self.assertEqual(set(counts(drawn(only.sampler(DATA, samples=50)))), {"web"})
        with self.assertRaisesRegex(ValueError, "no dataset for code; wiki is no domain of the mixture"):
            trial().sampler({"web": DATA["web"], "wiki": []}, samples=1)
        with self.assertRaisesRegex(ValueError, "web has 0 samples"):
            only.sampler({"web": []}, samples=1)
