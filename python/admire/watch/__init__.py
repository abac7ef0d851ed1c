"""Programs for `launcher.on_event` that write the trials of a study to an experiment tracker: docs/watching.md.

    [launcher]
    on_event = ["python3", "-m", "admire.watch.mlflow"]
"""
