"""`orch`: the command line.  Each command loads what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.command_line import entry
from orchestrator.command_line.options import (
    LONGEST_HOURS,
    ArtifactsOption,
    DataOption,
    HomeOption,
    JobArgument,
    JsonOption,
    YesOption,
    open_home,
)
from orchestrator.engines.pool import EngineName
from orchestrator.errors import ExitCode, UsageError

app = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=(
        "Train and compare image models on GPUs that come and go.\n\n"
        "Write a study (**init**), put it into a home (**plan**), start workers (**worker**), watch (**status**), "
        "read (**report**). **demo** shows the whole way on this machine in about three minutes. "
        "Without a command it says what to do next in this directory.\n\n"
        "Ends with 0 done, 1 failed, 2 wrong usage or study, 3 sign-in needed, 4 home unreachable. "
        "Add --debug to any command for a traceback."
    ),
)

export_app = typer.Typer(help="Carry what a study found to another tool: TensorBoard, MLflow, or an archive.")
app.add_typer(export_app, name="export", no_args_is_help=True)


@app.callback()
def what_next(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        from orchestrator.commands import next_step

        next_step.run()


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="The study file to write.")] = Path("study.toml"),
    preset: Annotated[
        str,
        typer.Option(help="tiny: minutes on two cores. paper, paper-cpu: AlexNet and ViT. strong: the best recipes."),
    ] = "tiny",
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
) -> None:
    """Write a study file to start from."""
    from orchestrator import presets

    presets.write(preset, file, over=force)
    print(f"Wrote {file}. Look through it, then: orch plan {file}")


@app.command()
def plan(
    file: Annotated[Path, typer.Argument(help="The study file.")] = Path("study.toml"),
    home: Annotated[
        str | None,
        typer.Option("--home", help="Where the study shall live, directory or postgresql://...; default: ./NAME.orch"),
    ] = None,
    artifacts: ArtifactsOption = None,
    data: DataOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be planned and change nothing.")] = False,
    accept_rollback: Annotated[
        bool,
        typer.Option("--accept-rollback", help="Go on from a job table on Drive that was put back to an older state."),
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Split the data, publish shards and jobs; plan again after an edit, and what is the same is kept."""
    from orchestrator.commands import plan

    plan.run(
        file,
        home,
        artifacts,
        data,
        dry_run=dry_run,
        accept_rollback=accept_rollback,
        yes=yes,
        as_json=as_json,
    )


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def worker(context: typer.Context) -> None:
    """Work on the study here, until nothing is left: the same worker as in a notebook (--help for its options)."""
    from orchestrator.installation import own_packages

    os.execv(sys.executable, [*own_packages.command("workers.cli"), *context.args])


@app.command()
def launch(
    engine: Annotated[EngineName, typer.Argument(help="What starts the workers.")],
    options: Annotated[list[str] | None, typer.Argument(help="Options of the engine, behind --.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="So many workers; fewer or more than run now is well.")] = 1,
    gpus: Annotated[
        int | None, typer.Option(min=0, help="For each worker; default: none, on this machine one if it has any.")
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=LONGEST_HOURS, help="Each worker ends in good order after so long, with no job lost."
        ),
    ] = None,
    memory: Annotated[float | None, typer.Option(min=0.1, metavar="GB", help="For each worker.")] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print what would be submitted, and do nothing.")] = False,
    list_them: Annotated[bool, typer.Option("--list", help="List the study's workers that the engine has.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End them in good order.")] = False,
    home: HomeOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Have workers started here, or on a cluster that replaces those that end; asked again, change their number."""
    from orchestrator import address
    from orchestrator.commands import launch

    if only_print + list_them + stop > 1:
        raise UsageError("Give one of --print, --list and --stop.")
    at, its = address.known(home, artifacts), options or ()
    if list_them:
        print(launch.members(engine, its, at))
    elif stop:
        print(launch.stop(engine, its, at))
    else:
        print(launch.start(engine, its, at, launch.Wish(workers, gpus, memory, hours), only_print=only_print))


@app.command()
def status(
    home: HomeOption = None,
    artifacts: ArtifactsOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and show changes until nothing is left to do.")] = False,
    jobs: Annotated[bool, typer.Option("--jobs", help="List every job.")] = False,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="With --watch: post what happens to this address (ntfy, Slack, Discord, or any that takes text).",
        ),
    ] = None,
    stalled_after: Annotated[
        float, typer.Option(min=1, metavar="MINUTES", help="With --notify: tell when nothing has moved for so long.")
    ] = 60.0,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write status and report as one page that needs nothing else."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far the study is: models, workers, time left, and what is wrong."""
    from orchestrator.commands import status

    status.run(
        lambda: open_home(home, artifacts),
        watch=watch,
        jobs=jobs,
        as_json=as_json,
        html=html,
        notify=notify,
        stalled_minutes=stalled_after,
    )


@app.command()
def ui(
    home: HomeOption = None,
    artifacts: ArtifactsOption = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Of this machine alone; default: 8642, or any that is free.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser; the address is printed.")] = False,
) -> None:
    """Show status and report on a page of this machine that keeps itself up to date, until Ctrl-C."""
    from orchestrator import address
    from orchestrator.commands import ui

    ui.run(address.known(home, artifacts), port, browser=not no_browser)


@app.command()
def report(
    homes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[HOME]...", help="Several homes, whose studies stand side by side; default: the one home."
        ),
    ] = None,
    home: HomeOption = None,
    artifacts: ArtifactsOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Directory to write; default: report in the home, or in ./NAME.orch; several: ./orch-report."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write tables, figures and one page that compare the models, and print the table."""
    from orchestrator import address
    from orchestrator.commands import report

    if homes and home is not None:
        raise UsageError("Give the homes either as arguments or, one home, with --home.")
    named = homes or []
    several = len(named) > 1
    at = address.several(named, artifacts) if several else [address.known(home or "".join(named) or None, artifacts)]
    report.run(at, out, as_json=as_json)


@export_app.command("tensorboard")
def export_tensorboard(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where TensorBoard looks (--logdir).")],
    home: HomeOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Write curves, hyperparameters and figures for TensorBoard: a run for each model and seed."""
    from orchestrator.commands import export

    export.to_tensorboard(open_home(home, artifacts), directory)


@export_app.command("mlflow")
def export_mlflow(
    uri: Annotated[
        str | None, typer.Argument(metavar="[URI]", help="Of a tracking server or store; default: sqlite:///mlflow.db")
    ] = None,
    home: HomeOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Log a run for each model and seed in MLflow; a second export brings the runs up to date."""
    from orchestrator.commands import export

    export.to_mlflow(open_home(home, artifacts), uri)


@export_app.command("bundle")
def export_bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="The archive to write.")],
    home: HomeOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Write study, results, charts, networks and checksums as one archive, to put beside a paper."""
    from orchestrator.commands import export

    export.to_bundle(open_home(home, artifacts), file)


@app.command()
def logs(job: JobArgument, home: HomeOption = None, artifacts: ArtifactsOption = None) -> None:
    """Print a job's attempts, and what its last run printed."""
    from orchestrator.commands import logs

    print(logs.text(open_home(home, artifacts), job))


@app.command()
def retry(job: JobArgument, home: HomeOption = None, artifacts: ArtifactsOption = None) -> None:
    """Give a quarantined job another chance."""
    again = open_home(home, artifacts).jobs.retry(job)
    print(f"{again.name} is {again.state} again.")


@app.command()
def cancel(
    job: JobArgument, home: HomeOption = None, artifacts: ArtifactsOption = None, yes: YesOption = False
) -> None:
    """Take a job, and all that waits for it, out of the study; `orch plan` brings them back."""
    from orchestrator.commands import cancel

    cancel.run(open_home(home, artifacts), job, yes=yes)


@app.command()
def gc(
    home: HomeOption = None,
    artifacts: ArtifactsOption = None,
    older_than_hours: Annotated[
        float, typer.Option(min=1, help="Leave younger files alone: a worker may be about to name them.")
    ] = 24.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
    only_home: Annotated[
        bool, typer.Option("--only-home", help="No other home has files in the directory of this one on PostgreSQL.")
    ] = False,
) -> None:
    """Delete files that no job names: what dead workers left behind.  On Drive every account deletes its own."""
    from orchestrator.commands import gc

    gc.run(open_home(home, artifacts), older_than_hours, dry_run=dry_run, only_home=only_home)


@app.command()
def doctor(home: HomeOption = None, artifacts: ArtifactsOption = None) -> None:
    """Check this machine and the home: what a worker needs, and whether the service keeps what Orch rests on."""
    from orchestrator import address
    from orchestrator.commands import doctor

    well = doctor.run(address.known_if_any(home, artifacts))
    raise typer.Exit(ExitCode.DONE if well else ExitCode.FAILED)


@app.command()
def login(
    client: Annotated[
        Path, typer.Option("--client", help="JSON of an OAuth client of the kind 'desktop app', from Google Cloud.")
    ] = Path("client_secrets.json"),
    sign_out: Annotated[bool, typer.Option("--sign-out", help="Forget the sign-in, and void it at Google.")] = False,
) -> None:
    """Sign in to Google Drive with the browser; the sign-in is kept for you alone on this machine.

    Needs an OAuth client of yours. Without one Orch goes by the sign-in of a notebook, of `gcloud auth
    application-default login`, or of the file in GOOGLE_APPLICATION_CREDENTIALS; docs/google-drive.md has the steps.
    """
    from orchestrator.commands import drive_account

    print(drive_account.sign_out() if sign_out else drive_account.sign_in(client))


@app.command()
def snippet(
    home: HomeOption = None,
    colab: Annotated[bool, typer.Option("--colab", help="For Google Colab (the default).")] = False,
    kaggle: Annotated[bool, typer.Option("--kaggle", help="For a Kaggle notebook.")] = False,
    shell: Annotated[bool, typer.Option("--shell", help="For a shell with Python.")] = False,
    coordinator: Annotated[
        bool,
        typer.Option("--coordinator", help="The notebook that plans and watches a study, with Orch in it."),
    ] = False,
    notebook: Annotated[Path | None, typer.Option("--notebook", help="Write a notebook with it there.")] = None,
) -> None:
    """Print the cell that starts a worker in somebody's notebook, for a study on Google Drive or in a bucket."""
    from orchestrator.commands import snippet

    kind = snippet.kind_of(colab=colab, kaggle=kaggle, shell=shell)
    if coordinator:
        snippet.run_coordinator(home, kind, notebook)
    else:
        snippet.run(open_home(home, None), kind, notebook)


@app.command()
def share(
    accounts: Annotated[list[str] | None, typer.Argument(help="E-mail addresses of Google accounts.")] = None,
    readers: Annotated[
        bool | None,
        typer.Option("--readers/--no-readers", help="Let whoever has the folder's address read it; end that."),
    ] = None,
    home: HomeOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, though readers see everything.")] = False,
) -> None:
    """Let other accounts work on a study on Google Drive, or whoever has its address look at it."""
    from orchestrator import address
    from orchestrator.commands import drive_account

    print(drive_account.share(address.known(home, None).url, accounts or (), readers=readers, yes=yes))


@app.command()
def demo(
    directory: Annotated[Path, typer.Option("--dir", help="Where to put the home, the logs and the report.")] = Path(
        "orch-demo"
    ),
    data: DataOption = None,
) -> None:
    """Go the whole way on this machine: two workers, one of them killed half-way, and the report."""
    from orchestrator.commands import demo

    demo.run(directory, data)


def main() -> None:
    entry.run(app)
