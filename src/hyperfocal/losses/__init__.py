"""What a fit or a training minimises: functions of tensors that know no model, batch or config.

Maps are unreduced; masks, averages and weights belong to the caller, save where a fused kernel needs them inside.
"""
