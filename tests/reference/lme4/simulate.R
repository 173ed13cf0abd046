# Writes the input files of tests/reference/lme4 and tests/reference/nlme. Run from this folder: Rscript simulate.R
# All data are simulated; parameters are invented and describe no patients.
# Columns: patient, visit, t (mean and random-slope time basis), weeks (time of the residual correlation),
# pain, dose (cumulative, before the rating), hinge = max(dose - knot, 0).

suppressWarnings(RNGversion("4.2.0"))

cumulative_dose <- function(n, mean, size = 3) c(0, cumsum(rnbinom(n, size = size, mu = mean)))[seq_len(n)]

effects <- function(sd_intercept, sd_slope, corr) {
  l11 <- sd_intercept
  l21 <- corr * sd_slope
  l22 <- sqrt(1 - corr^2) * sd_slope
  z <- rnorm(2)
  c(l11 * z[1], l21 * z[1] + l22 * z[2])
}

residuals_car1 <- function(weeks, sigma, phi = 0, nugget = 0) {
  n <- length(weeks)
  correlation <- if (phi > 0) (1 - nugget) * phi^abs(outer(weeks, weeks, "-")) else diag(n)
  diag(correlation) <- 1
  sigma * drop(crossprod(chol(correlation), rnorm(n)))
}

patients <- function(n, times, beta, knot, sd_intercept, sd_slope, corr, sigma, phi = 0, nugget = 0,
                     dose_mean = 8, days = FALSE) {
  one <- function(i) {
    t <- times(i)
    weeks <- if (days) t / 7 else t
    dose <- cumulative_dose(length(t), dose_mean)
    hinge <- pmax(dose - knot, 0)
    b <- effects(sd_intercept, sd_slope, corr)
    y <- beta[1] + b[1] + (beta[2] + b[2]) * t + beta[3] * dose + beta[4] * hinge +
      residuals_car1(weeks, sigma, phi, nugget)
    data.frame(patient = i, visit = seq_along(t), t = t, weeks = round(weeks, 6), pain = round(y, 3),
               dose = dose, hinge = hinge)
  }
  do.call(rbind, lapply(seq_len(n), one))
}

weekly_with_dropout <- function(i) 0:(min(12, 3 + rgeom(1, 0.12)) - 1)
irregular <- function(minimum, maximum) function(i) {
  n <- sample(minimum:maximum, 1)
  c(0, cumsum(round(0.3 + rexp(n, 1 / 1.2), 2)))[seq_len(n)]
}
irregular_days <- function(i) {
  n <- sample(3:11, 1)
  days <- c(0, sort(sample(2:400, n - 1)))
  days
}

write <- function(data, folder, name) write.csv(data, file.path(folder, paste0(name, ".csv")), row.names = FALSE)

set.seed(20260101)
write(patients(60, weekly_with_dropout, c(6, -0.15, -0.005, -0.02), 30, 1.4, 0.2, -0.3, 1.0), ".", "regular")
set.seed(20260102)
write(patients(80, irregular(1, 12), c(5.5, -0.12, -0.004, -0.03), 25, 1.2, 0.15, 0.2, 0.9), ".", "irregular")
set.seed(20260110)
write(patients(60, irregular(2, 8), c(5.5, -0.12, -0.004, -0.03), 25, 1.2, 0.0, 0.0, 1.2), ".", "no_slope")
set.seed(20260120)
write(patients(60, irregular(2, 8), c(5.5, -0.12, -0.004, -0.03), 25, 0.0, 0.0, 0.0, 1.2), ".", "no_effects")
set.seed(20260131)
write(patients(60, irregular(2, 8), c(5.5, -0.12, -0.004, -0.03), 25, 0.0, 0.2, 0.0, 1.2), ".", "no_intercept")
set.seed(20260104)  # 18 people, ten equally spaced occasions each, outcome in the hundreds
write(patients(18, function(i) 0:9, c(250, 10, -0.2, -0.3), 30, 25, 6, 0.1, 25), ".", "balanced")
set.seed(20260105)
write(patients(70, irregular_days, c(6, -0.006, -0.004, -0.02), 30, 1.5, 0.006, -0.85, 0.8, days = TRUE), ".", "days")
set.seed(20260106)
write(patients(100, irregular(2, 14), c(5.5, -0.12, -0.004, -0.03), 25, 1.0, 0.15, 0.2, 1.0, phi = 0.6), "../nlme", "car1")
set.seed(20260107)
write(patients(120, irregular(3, 16), c(5.5, -0.12, -0.004, -0.03), 25, 1.0, 0.15, 0.2, 1.3, phi = 0.7, nugget = 0.35),
      "../nlme", "car1_nugget")
set.seed(20260108)
write(patients(120, irregular(4, 16), c(5.5, -0.12, -0.004, -0.03), 25, 1.6, 0, 0, 1.3, phi = 0.4, nugget = 0.25),
      "../nlme", "steady")
