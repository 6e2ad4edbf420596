"""The peer: Hugging Face's Trainer on the eager BLOOM, DDP over gloo: ``python -m infra.bench.hf_trainer spec.json``.

Each rank is a process with torchrun's variables. Batch, order of the samples, optimizer, learning rate, clipping and the
initial weights are the job's; the loss is taken over the job's labels, so that both train on exactly the same tokens.
"""

import os
import tempfile
import warnings
from typing import Any

from infra.bench.peer import Batches, Lines, PeerJob
from training_jobs.job import JobError, read_spec, run


def train(job: PeerJob) -> None:
    """Train with the Trainer. Raises JobError where the recipe has what it does not do the same way."""
    training = job.training
    if training.warmup_steps or training.lr != training.min_lr or training.accumulation > 1:
        raise JobError("The peer compares at a constant learning rate (lr = min_lr, no warm-up) without accumulation.")
    warnings.simplefilter("ignore")
    import torch
    from torch import Tensor
    from torch.utils.data import SequentialSampler
    from transformers import BloomForCausalLM, Trainer, TrainerCallback, TrainingArguments
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    lines = Lines(job.lines, int(os.environ["RANK"]) == 0)
    samples = Batches(job.batches)

    def stack(samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        tokens, labels = (torch.stack([sample[name] for sample in samples]) for name in ("tokens", "labels"))
        return {"input_ids": tokens, "labels": labels}

    def loss(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        """Over labels that are shifted already, where the model's own loss would shift them once more."""
        return torch.nn.functional.cross_entropy(outputs.logits.flatten(0, 1), labels.flatten())

    class InOrder(Trainer):
        def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
            return SequentialSampler(samples)

    class Clock(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            lines.start()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            if logs and "loss" in logs:
                lines.write(state.global_step, logs["loss"])

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            use_cpu=not torch.cuda.is_available(),
            ddp_backend="nccl" if torch.cuda.is_available() else "gloo",
            bf16=training.precision == "bf16",
            max_steps=training.steps,
            per_device_train_batch_size=training.micro_batch,
            learning_rate=training.lr,
            lr_scheduler_type="constant",
            optim="adamw_torch_fused",
            adam_beta1=training.betas[0],
            adam_beta2=training.betas[1],
            adam_epsilon=training.epsilon,
            weight_decay=training.weight_decay,
            max_grad_norm=training.clip,
            average_tokens_across_devices=False,
            logging_steps=1,
            save_strategy="no",
            remove_unused_columns=False,
            report_to=[],
            disable_tqdm=True,
            seed=training.seed,
        )
        model = BloomForCausalLM.from_pretrained(
            job.weights, attn_implementation="eager", dtype=torch.float32, local_files_only=True
        )
        trainer = InOrder(
            model=model,
            args=arguments,
            train_dataset=samples,
            data_collator=stack,
            compute_loss_func=loss,
            callbacks=[Clock()],
        )
        trainer.train()


def main(arguments: list[str]) -> None:
    """Entry point; ``arguments`` is the path of the specification."""
    train(read_spec(PeerJob, arguments))


if __name__ == "__main__":
    run(main)
