"""Writes evaluation.json: scikit-learn's figures (and torchmetrics' calibration error), for evaluation.test.ts.

    pip install scikit-learn==1.7.2 torchmetrics==1.8.2 && python evaluation.py > evaluation.json
"""

import json
import warnings

import numpy as np
import torch
from sklearn import metrics
from torchmetrics.functional.classification import multiclass_calibration_error

CLASSES = 8
warnings.simplefilter("ignore")


def scores(rows, never_predicted, without_pictures):
    """Logits that are right somewhat too seldom for their certainty."""
    row, column = np.meshgrid(np.arange(rows), np.arange(CLASSES), indexing="ij")
    labels = (np.arange(rows) * 5 + np.arange(rows) // 7) % CLASSES
    labels[np.isin(labels, without_pictures)] = 0
    logits = 3 * np.sin(1 + row * 2.3 + column * (1.7 + row % 5)) + 2 * (column == labels[:, None])
    logits[:, never_predicted] = -9
    return np.float32(logits), labels


def case(rows, never_predicted=(), without_pictures=()):
    logits, labels = scores(rows, list(never_predicted), list(without_pictures))
    tensor = torch.tensor(logits, dtype=torch.float64)
    probabilities = tensor.softmax(1).numpy()
    predicted = logits.argmax(1)
    names = list(range(CLASSES))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=names, zero_division=np.nan
    )
    macro = metrics.precision_recall_fscore_support(
        labels, predicted, labels=names, zero_division=np.nan, average="macro"
    )
    values = lambda numbers: [None if np.isnan(number) else float(number) for number in numbers]
    return dict(
        logits=[round(float(number), 7) for number in logits.ravel()],
        labels=labels.tolist(),
        cost=metrics.log_loss(labels, probabilities, labels=names),
        top1=metrics.accuracy_score(labels, predicted),
        top5=metrics.top_k_accuracy_score(labels, probabilities, k=5, labels=names),
        meanPerClass=metrics.balanced_accuracy_score(labels, predicted),
        macro=dict(zip(("precision", "recall", "f1"), map(float, macro[:3]))),
        precision=values(precision),
        recall=values(recall),
        f1=values(f1),
        support=support.tolist(),
        confusion=metrics.confusion_matrix(labels, predicted, labels=names).tolist(),
        calibration=multiclass_calibration_error(
            torch.tensor(probabilities), torch.tensor(labels), CLASSES, n_bins=15, norm="l1"
        ).item(),
    )


cases = {
    "all classes": case(90),
    "a class that is never predicted": case(60, never_predicted=[3]),
    "a class without pictures": case(60, without_pictures=[5]),
    "a class that is never predicted, without pictures": case(60, never_predicted=[2], without_pictures=[2]),
}
print(json.dumps(dict(classes=CLASSES, cases=[dict(name=name, **value) for name, value in cases.items()])))
