"""The messages of the Object Detection API's pipeline.config and label maps.

Names, numbers and defaults are the API's; the package is `odflow.protos`, so that an
installed API does not clash with it. The `*_pb2` files are generated, in the project's
root, by

    python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. odflow/odapi/protos/*.proto

with grpcio-tools 1.68.1, in an environment of its own: generated code asks for a
protobuf at least as new as its compiler, and 1.68.1 is the newest compiler whose code
still runs with the oldest protobuf that TensorFlow 2.20 allows (5.28).
"""
