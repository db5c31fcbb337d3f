// Python's door to loss.h: checks types and layouts, releases the interpreter lock, calls.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>
#include <stdexcept>

#include "loss.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T, class... Options>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu, Options...>;
using Image = Array<float, nb::shape<-1, -1, 3>>;
using ConstImage = Array<const float, nb::shape<-1, -1, 3>>;
using Matrix = Array<float, nb::ndim<2>>;
using ConstMatrix = Array<const float, nb::ndim<2>>;
using Vector = Array<const float, nb::ndim<1>>;

void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

double photometric_loss(ConstImage rendered, ConstImage target, std::optional<Array<const bool, nb::ndim<2>>> valid,
                        std::optional<Image> gradient, double ssim_weight, int threads) {
    const size_t h = rendered.shape(0), w = rendered.shape(1);
    require(h > 0 && w > 0 && h < 1u << 30 && w < 1u << 26, "the images must not be empty");
    require(target.shape(0) == h && target.shape(1) == w, "rendered and target must have one size");
    require(!valid || (valid->shape(0) == h && valid->shape(1) == w), "valid must have the images' size");
    require(!gradient || (gradient->shape(0) == h && gradient->shape(1) == w), "gradient must have the images' size");
    hyperfocal::PhotometricLoss loss;
    loss.width = int(w);
    loss.height = int(h);
    loss.rendered = rendered.data();
    loss.target = target.data();
    loss.valid = valid ? reinterpret_cast<const uint8_t*>(valid->data()) : nullptr;
    loss.gradient = gradient ? gradient->data() : nullptr;
    nb::gil_scoped_release release;
    return hyperfocal::photometric_loss(loss, ssim_weight, threads);
}

void set_moments(hyperfocal::AdamStep& step, float* first, float* second) {
    step.first_moment = first;
    step.second_moment = second;
}
void set_moments(hyperfocal::AdamStep& step, int16_t* first, int16_t* second) {
    step.first_bfloat16 = reinterpret_cast<uint16_t*>(first);
    step.second_bfloat16 = reinterpret_cast<uint16_t*>(second);
}

// Moments are float, or bfloat16 in the guise of int16.
template <class Moment>
void adam_step(Matrix parameter, ConstMatrix gradient, Array<Moment, nb::ndim<2>> first_moment,
               Array<Moment, nb::ndim<2>> second_moment, Vector rates, std::optional<Array<const bool, nb::ndim<1>>> rows, int64_t step, double beta1, double beta2,
               double epsilon, int threads) {
    const size_t n = parameter.shape(0), columns = parameter.shape(1);
    const auto alike = [&](const auto& other) { return other.shape(0) == n && other.shape(1) == columns; };
    require(alike(gradient) && alike(first_moment) && alike(second_moment), "the four matrices must have one shape");
    require(rates.size() == 1 || rates.size() == columns, "one learning rate, or one for every column");
    require(!rows || rows->size() == n, "rows must have one entry for every row");
    require(step >= 1, "step counts from 1");
    hyperfocal::AdamStep adam;
    adam.rows = int64_t(n);
    adam.columns = int64_t(columns);
    adam.parameter = parameter.data();
    adam.gradient = gradient.data();
    set_moments(adam, first_moment.data(), second_moment.data());
    adam.row_mask = rows ? reinterpret_cast<const uint8_t*>(rows->data()) : nullptr;
    adam.learning_rates = rates.data();
    adam.rate_per_column = rates.size() == columns;
    adam.step = step;
    adam.beta1 = beta1;
    adam.beta2 = beta2;
    adam.epsilon = epsilon;
    nb::gil_scoped_release release;
    hyperfocal::adam_step(adam, threads);
}

template <void (*kFunction)(int64_t, const float*, float*, int)>
void elementwise(Array<const float> from, Array<float> to, int threads) {
    require(from.size() == to.size(), "both arrays must have one size");
    nb::gil_scoped_release release;
    kFunction(int64_t(from.size()), from.data(), to.data(), threads);
}

}  // namespace

void bind_loss(nb::module_& m) {
    m.def("exp", &elementwise<hyperfocal::exp_all>, "logs"_a, "scales"_a, "threads"_a, "exp, rounded once from double.");
    m.def("sigmoid", &elementwise<hyperfocal::sigmoid_all>, "logits"_a, "opacities"_a, "threads"_a,
          "1 / (1 + exp(-x)), rounded once from double.");
    m.def("photometric_loss", &photometric_loss, "rendered"_a, "target"_a, "valid"_a.none(), "gradient"_a.none(),
          "ssim_weight"_a, "threads"_a, "Returns the L1 + SSIM loss and fills `gradient` if it is given (loss.h).");
    m.def("adam_step", &adam_step<float>, "parameter"_a, "gradient"_a, "first_moment"_a, "second_moment"_a, "rates"_a,
          "rows"_a.none(), "step"_a, "beta1"_a, "beta2"_a, "epsilon"_a, "threads"_a,
          "Steps `parameter` and both moments in place (loss.h).");
    m.def("adam_step_bfloat16", &adam_step<int16_t>, "parameter"_a, "gradient"_a, "first_moment"_a, "second_moment"_a,
          "rates"_a, "rows"_a.none(), "step"_a, "beta1"_a, "beta2"_a, "epsilon"_a, "threads"_a,
          "The same with moments in bfloat16, given as int16 (loss.h).");
}
