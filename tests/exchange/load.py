"""What a trainer's own package makes of an exported file: the share of each path, as JSON.

Usage: load.py FORMAT FILE. Exit 77: a package is not installed. What draws examples is run on the files that the paths
name, so that its shares are those of what was drawn.
"""

import collections
import importlib.util
import itertools
import json
import sys
import types

DRAWS = 4000


def need(*packages):
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    if absent:
        print(f"not installed: {', '.join(absent)}", file=sys.stderr)
        sys.exit(77)


def bare(package):
    """Lets modules of a package be imported without its own, which imports all of the trainer and what that depends on."""
    module = types.ModuleType(package)
    module.__path__ = importlib.util.find_spec(package).submodule_search_locations
    sys.modules[package] = module


def yaml_of(file):
    need("yaml")
    import yaml

    with open(file, encoding="utf-8") as stream:
        return yaml.safe_load(stream)


def shares(drawn):
    counts = collections.Counter(drawn)
    return {path: count / counts.total() for path, count in counts.items()}


def huggingface(file):
    """Runs the module, and draws. Every example has the path of its file."""
    need("datasets")
    import datasets

    datasets.disable_progress_bars()
    module = {}
    with open(file, encoding="utf-8") as stream:
        exec(compile(stream.read(), file, "exec"), module)
    return shares(example["path"] for example in itertools.islice(module["mixture"], DRAWS))


def llama_factory(file):
    """Its class of arguments alone: the whole package wants PyTorch."""
    need("omegaconf", "llamafactory")
    from omegaconf import OmegaConf

    package = importlib.util.find_spec("llamafactory").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("data_args", f"{package}/hparams/data_args.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["data_args"] = module
    spec.loader.exec_module(module)
    arguments = module.DataArguments(**OmegaConf.to_container(OmegaConf.load(file)))
    assert arguments.mix_strategy == "interleave_over", arguments.mix_strategy
    return dict(zip(arguments.dataset, arguments.interleave_probs, strict=True))


def streaming(file):
    """Writes a dataset at every path, and draws an epoch."""
    need("torch", "streaming", "yaml")
    bare("streaming")
    from streaming.base import MDSWriter, Stream, StreamingDataset

    config = yaml_of(file)
    for stream in config["streams"].values():
        with MDSWriter(out=stream["local"], columns={"path": "str"}) as writer:
            for _ in range(50):
                writer.write({"path": stream["local"]})
    streams = [Stream(**stream) for stream in config["streams"].values()]
    dataset = StreamingDataset(streams=streams, epoch_size=config["epoch_size"], batch_size=1)
    assert len(dataset) == config["epoch_size"]
    return shares(example["path"] for example in dataset)


def olmo_core(file):
    """Writes tokens at every path, fewer than the first source must give, and selects from them."""
    need("torch", "olmo_core", "numpy")
    bare("olmo_core")
    bare("olmo_core.data")
    import numpy
    from olmo_core.data.source_mixture import SourceMixtureDatasetConfig, SourceMixtureList

    sources = SourceMixtureList.from_yaml(file)
    for source in sources.sources:
        source.validate()
        for path in source.paths:
            numpy.zeros(DRAWS * 3 // 8, numpy.uint32).tofile(path)
    config = SourceMixtureDatasetConfig(sources, requested_tokens=DRAWS, global_batch_size=1, quiet=True)
    mixture = config.build(npdtype=numpy.uint32, sequence_length=1)
    return shares(chosen.path for chosen in mixture.selected_path_tokens() for _ in range(chosen.tokens))


def nanotron(file):
    dataset = yaml_of(file)["data_stages"][0]["data"]["dataset"]
    return dict(zip(dataset["dataset_folder"], dataset["dataset_weights"], strict=True))


def regmix(file):
    return yaml_of(file)["train"]


READERS = {
    "huggingface": huggingface,
    "llama-factory": llama_factory,
    "streaming": streaming,
    "olmo-core": olmo_core,
    "nanotron": nanotron,
    "regmix": regmix,
}

if __name__ == "__main__":
    print(json.dumps(READERS[sys.argv[1]](sys.argv[2])))
