"""stock_data_ingestion: Reads the topic, loads it exactly once, runs the dbt models and their data tests.

Written by `tapeline generate airflow-dag stock_data_ingestion`, for Airflow 2.7 to 3.x. A task is done
by the tapeline that owns the data directory, which runs with TAPELINE_DAG_SCHEDULER=outside. Of the
workers' environment this reads TAPELINE, the program's path (else `tapeline` of the PATH); tapeline
itself reads TAPELINE_DATA_DIR.
"""
from datetime import timedelta

import pendulum

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.operators.bash import BashOperator

# The second id is the original's: unpause one of them.
DAG_IDS = ["stock_data_ingestion", "stock_data_ingestion_snowflake"]
SCHEDULE = "*/5 * * * *"  # tapeline's own is @continuous


def run(task, before=(), flags="", **settings):
    """A task of tapeline's. --input takes what those before it returned: the last line of each."""
    returned = (f'"{name}": {{{{ ti.xcom_pull(task_ids="{name}") or "null" }}}}' for name in before)
    return BashOperator(
        task_id=task,
        # What comes from a run stands in the environment, where no shell reads it.
        bash_command='exec "${TAPELINE:-tapeline}" dag task run stock_data_ingestion ' + task
        + ' --run-id "$TASK_RUN" --try "$TASK_TRY" --logical-date "$TASK_DATE"'
        + ' --conf "$TASK_CONF" --input "$TASK_INPUT"' + flags,
        env={
            "TASK_RUN": "{{ dag.dag_id }}__{{ run_id }}",
            "TASK_TRY": "{{ ti.try_number }}",
            "TASK_DATE": "{{ (dag_run.logical_date or dag_run.run_after).isoformat() }}",
            "TASK_CONF": "{{ (dag_run.conf or {}) | tojson }}",
            "TASK_INPUT": "{" + ", ".join(returned) + "}",
        },
        append_env=True,
        **settings,
    )


for dag_id in DAG_IDS:
    with DAG(
        dag_id,
        description="Reads the topic, loads it exactly once, runs the dbt models and their data tests",
        schedule=SCHEDULE,
        start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        tags=["tapeline"],
    ):
        tasks = {
            "consume": run("consume", retries=2, retry_delay=timedelta(seconds=300)),
            "load": run("load", before=["consume"], retries=2, retry_delay=timedelta(seconds=300)),
            "transform": run("transform", before=["consume", "load"], retries=2, retry_delay=timedelta(seconds=300)),
            "test": run("test", before=["consume", "load", "transform"], retries=0),
            "log_stats": run("log_stats", before=["consume", "load", "transform", "test"], flags=" --end-of-run", trigger_rule="all_done", retries=0),
        }
        tasks["consume"] >> tasks["load"]
        tasks["load"] >> tasks["transform"]
        tasks["transform"] >> tasks["test"]
        tasks["test"] >> tasks["log_stats"]
