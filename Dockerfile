# The notebooks and the explorer in a container, by the same steps as .binder/ (docs/on-a-server.md says what was tried).
#   docker build -t tpr-outcomes . && docker run --rm -p 127.0.0.1:8888:8888 tpr-outcomes
FROM python:3.12-slim

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 1000 clinic && install -d -o clinic /home/clinic/tpr_outcomes
USER clinic
WORKDIR /home/clinic/tpr_outcomes
ENV PATH=/home/clinic/venv/bin:$PATH
RUN python -m venv /home/clinic/venv

# What changes seldom comes first: the locked packages, then the repository.
COPY --chown=clinic requirements.lock ./
COPY --chown=clinic .binder/requirements.txt .binder/
RUN python -m pip install --no-cache-dir --requirement .binder/requirements.txt
COPY --chown=clinic . .
RUN .binder/postBuild

EXPOSE 8888
ENTRYPOINT [".binder/start"]
CMD ["jupyter", "lab", "notebooks", "--ip=0.0.0.0", "--no-browser", "--LabApp.default_url=/lab/tree/00_start_here.ipynb"]
