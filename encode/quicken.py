"""The same functions in less time: what transformers computes and then drops, or writes out and need not.

Each works on a network that was loaded by transformers. Results differ from the library's by rounding alone (tests
compare at full size).
"""

from __future__ import annotations

from typing import Any

_QUICK_GELU = 1.702


def first_token_of_distilbert(network: Any) -> None:
    """Have the last layer of a DistilBERT compute the first token alone, the one that the classifier reads."""
    from torch.nn.functional import scaled_dot_product_attention

    block = network.transformer.layer[-1]
    attention = block.attention

    def heads(states: Any) -> Any:
        return states.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)

    def forward(hidden_states: Any, attention_mask: Any = None, **_: Any) -> Any:
        first = hidden_states[:, :1]
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        query, key, value = attention.q_lin(first), attention.k_lin(hidden_states), attention.v_lin(hidden_states)
        found = scaled_dot_product_attention(
            heads(query), heads(key), heads(value), attn_mask=mask, scale=attention.scaling
        )
        attended = block.sa_layer_norm(attention.out_lin(found.transpose(1, 2).flatten(2)) + first)
        return block.output_layer_norm(block.ffn(attended) + attended)

    block.forward = forward


def first_token_of_clip(network: Any) -> None:
    """Have the last layer of a CLIP vision model compute the first token alone, the one that is pooled."""
    from torch.nn.functional import scaled_dot_product_attention

    block = network.encoder.layers[-1]
    attention = block.self_attn

    def heads(states: Any) -> Any:
        return states.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)

    def forward(hidden_states: Any, *_: Any, **__: Any) -> Any:
        first, normal = hidden_states[:, :1], block.layer_norm1(hidden_states)
        query, key, value = attention.q_proj(normal[:, :1]), attention.k_proj(normal), attention.v_proj(normal)
        found = scaled_dot_product_attention(heads(query), heads(key), heads(value), scale=attention.scale)
        attended = first + attention.out_proj(found.transpose(1, 2).flatten(2))
        return attended + block.mlp(block.layer_norm2(attended))

    block.forward = forward


def activation_of_clip(network: Any) -> None:
    """Have the layers of a CLIP vision model compute x * sigmoid(1.702 x) in place, in one pass instead of three.

    That is SiLU(1.702 x) / 1.702, and the linear maps before and after it take the factors up.
    """
    import torch

    if network.config.hidden_act != "quick_gelu":
        return
    for layer in network.encoder.layers:
        with torch.no_grad():
            layer.mlp.fc1.weight.mul_(_QUICK_GELU)
            layer.mlp.fc1.bias.mul_(_QUICK_GELU)
            layer.mlp.fc2.weight.div_(_QUICK_GELU)
        layer.mlp.activation_fn = torch.nn.SiLU(inplace=True)


def patches_of_clip(network: Any) -> None:
    """Have a CLIP vision model map its patches, which do not overlap, by one matrix product, no convolution."""
    import torch

    embeddings = network.embeddings
    kernel, side = embeddings.patch_embedding.weight.detach(), embeddings.patch_size
    linear = torch.nn.Linear(kernel[0].numel(), len(kernel), bias=False, device="meta")
    linear.weight = torch.nn.Parameter(kernel.flatten(1))
    embeddings.patch_embedding = linear

    def forward(pixel_values: Any, **_: Any) -> Any:
        grid = pixel_values.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # picture, colour, row, y, column, x
        patches = linear(grid.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))
        first = embeddings.class_embedding.expand(len(patches), 1, -1)
        return torch.cat([first, patches], dim=1) + embeddings.position_embedding(embeddings.position_ids)

    embeddings.forward = forward


def attention_of_mpnet(network: Any) -> None:
    """Have the layers of an MPNet share one sum of position bias and mask, and use torch's fused attention."""
    from torch.nn.functional import scaled_dot_product_attention

    encoder = network.encoder

    def through_layers(hidden_states: Any, attention_mask: Any = None, **_: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        bias = encoder.compute_position_bias(hidden_states[:1])
        if attention_mask is not None:
            bias = bias + attention_mask
        for layer in encoder.layer:
            (hidden_states,) = layer(hidden_states, None, bias)
        return BaseModelOutput(last_hidden_state=hidden_states)

    def attend(attention: Any) -> Any:
        def heads(states: Any) -> Any:
            return states.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)

        def forward(hidden_states: Any, attention_mask: Any = None, position_bias: Any = None, **_: Any) -> Any:
            query, key, value = (heads(part(hidden_states)) for part in (attention.q, attention.k, attention.v))
            shape = (len(hidden_states), *query.shape[1:3], key.shape[2])
            found = scaled_dot_product_attention(query, key, value, attn_mask=position_bias.expand(shape))
            return (attention.o(found.transpose(1, 2).flatten(2)),)

        return forward

    encoder.forward = through_layers
    for layer in encoder.layer:
        layer.attention.attn.forward = attend(layer.attention.attn)
