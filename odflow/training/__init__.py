"""Training with TensorFlow Model Garden: the only room that imports `official`.

translation.py, config/     a pipeline.config becomes `settings`, free of protobuf and TensorFlow
architecture.py             what every kind of model gives to the loop, those of the heads too
detector.py                 what all detectors have in common
ssd/ faster_rcnn/ center_net/   the kinds; none knows another
layers/ detection/ examples/    what they share: layers, boxes and losses, images and augmentation
loop/                       the training of any model
export/                     detectors as graphs and files, each checked
model_garden/               networks of Model Garden, for the heads
checkpoints.py              their weights under the Object Detection API's names
frozen_import.py, trained_folder.py     what did not come from training, in the form that it would have
"""
