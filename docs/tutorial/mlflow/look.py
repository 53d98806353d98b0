"""Print what MLflow keeps of the sessions in `runs`."""

import mlflow

mlflow.set_tracking_uri("sqlite:///runs/mlflow.db")
client = mlflow.MlflowClient()
runs = mlflow.search_runs(search_all_experiments=True, order_by=["start_time"])
for _, run in runs[runs["tags.mlflow.runName"] == "1 · unet"].iterrows():
    print(f"{run['tags.experiment']}, {run['tags.data']} data, refiner {run['tags.refiner']}")
    by_hand = client.get_metric_history(run.run_id, "pfm_manual")
    refined = client.get_metric_history(run.run_id, "pfm_refined")
    print("strokes  by hand  refined")
    for one, other in zip(by_hand, refined, strict=True):
        print(f"{one.step:7}  {one.value:7.1%}  {other.value:7.1%}")
