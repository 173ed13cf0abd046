# Writes input.csv and expected.csv beside it: `Rscript generate.R`. R 4.2.2, metafor 3.8-1. Invented numbers.
# Between-clinic interval by confint(rma) (Q-profile), I^2 by rma(method = "DL"); control limits by base R, written
# from the formulas of Spiegelhalter (2005, doi:10.1002/sim.1970), additive over-dispersion: as published ("p_"), and
# with the squares divided by what winsorising leaves of normal scores.
library(metafor)
set.seed(20261126)
made <- function(k, tau) {
  s <- round(exp(runif(k, log(0.004), log(0.02))), 5)
  data.frame(y = round(rnorm(k, -0.02, sqrt(tau^2 + s^2)), 5), s = s)
}
sets <- list(noise = made(8, 0), spread = made(12, 0.02), three = made(3, 0.01), forty = made(40, 0.005))
sets$one_out <- made(15, 0); sets$one_out$y[4] <- -0.09; sets$one_out$s[4] <- 0.006
input <- do.call(rbind, lapply(names(sets), function(n) cbind(set = n, sets[[n]])))
write.csv(input, "input.csv", row.names = FALSE, quote = FALSE)
out <- list()
for (n in names(sets)) {
  y <- sets[[n]]$y; s <- sets[[n]]$s; k <- length(y)
  tight <- list(threshold = 1e-14, maxiter = 10000)
  fit <- rma(y, sei = s, method = "REML", test = "adhoc", control = tight)
  between <- confint(fit, control = list(tau2.max = 10, tol = 1e-14))$random["tau", ]
  dl <- rma(y, sei = s, method = "DL")
  w <- 1 / s^2
  target <- sum(w * y) / sum(w)
  z <- (y - target) / s
  wins <- function(v) { q <- quantile(v, c(0.1, 0.9), type = 7); pmin(pmax(v, q[1]), q[2]) }
  scores <- qnorm(ppoints(k, 3 / 8))
  limits <- function(left) {
    phi <- sum(wins(z)^2) / k / left
    tau2 <- if (k * phi < k - 1) 0 else (k * phi - (k - 1)) / (sum(w) - sum(w^2) / sum(w))
    list(phi = phi, tau2 = tau2, target = if (tau2 > 0) weighted.mean(y, 1 / (s^2 + tau2)) else target)
  }
  own <- limits(sum(wins(scores)^2) / sum(scores^2)); pub <- limits(1)
  one <- c(mean = as.numeric(fit$beta), reml_tau = sqrt(fit$tau2), tau_low = between[["ci.lb"]],
           tau_high = between[["ci.ub"]], i_squared = dl$I2 / 100, target = own$target, phi = own$phi, funnel_tau = sqrt(own$tau2),
           p_target = pub$target, p_phi = pub$phi, p_funnel_tau = sqrt(pub$tau2))
  each <- function(what, value) data.frame(set = n, what = what, at = seq_len(k), value = value)
  reach <- function(p) qnorm(0.5 + p / 2) * sqrt(s^2 + own$tau2)
  out[[n]] <- rbind(data.frame(set = n, what = names(one), at = NA, value = unname(one)),
                    each("blup", blup(fit)$pred), each("low_95", own$target - reach(0.95)),
                    each("high_95", own$target + reach(0.95)), each("low_998", own$target - reach(0.998)),
                    each("high_998", own$target + reach(0.998)))
}
table <- do.call(rbind, out)
table$value <- formatC(table$value, digits = 13, format = "g")
write.csv(table, "expected.csv", row.names = FALSE, quote = FALSE)
