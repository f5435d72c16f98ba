# The app in a container, as a Docker Space on the Hugging Face Hub runs it: docker build -t dale .
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 user
USER user
ENV HOME=/home/user \
    HF_HOME=/home/user/.cache/huggingface \
    PATH=/home/user/.local/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /home/user/app

# PyTorch and torchvision without CUDA come first, as a matching pair: later requirements would
# bring the build with CUDA, which is gigabytes larger.
RUN pip install --user --index-url https://download.pytorch.org/whl/cpu torch torchvision
COPY --chown=user requirements.txt .
RUN pip install --user -r requirements.txt
COPY --chown=user . .

# A Space shows the app in a frame of another site, where browsers send no cookies, so that XSRF
# protection, which needs one, would refuse every upload. There is no log-in that a forged request
# could abuse.
ENV STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION=false
EXPOSE 8501
HEALTHCHECK --start-period=60s CMD ["python", "-c", \
    "import urllib.request as web; web.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=3)"]

# A Space sees more cores than the CPU_CORES that it may use; PyTorch would start a thread for each.
# A fraction of a core counts as one thread.
CMD ["sh", "-c", "cores=${CPU_CORES:-2}; cores=${cores%%.*}; \
    test \"$cores\" -ge 1 2>/dev/null || cores=1; export OMP_NUM_THREADS=$cores; \
    exec streamlit run app.py --server.port 8501 --server.address 0.0.0.0"]
