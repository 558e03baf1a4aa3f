"""Carries the Dockerfile's steps out in an empty root, where there is no Docker, and starts what came of it.

It reads `docker/Dockerfile` and `.dockerignore` themselves. What stands in for the base image is Debian's own Python of
the same version. It needs root, Linux, debootstrap, and what pip needs; it changes nothing outside its folder.
"""
