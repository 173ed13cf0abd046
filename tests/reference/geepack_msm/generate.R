# Weights by glm, marginal structural model by geeglm, g-estimation by matrices: an independent
# route from raw visits to the numbers of inference/sequential.py. Run in this folder:
#   Rscript generate.R
# R 4.2.2, geepack 1.3.9, MASS 7.3-58
library(MASS)
library(geepack)
options(digits = 15)

d <- read.csv("input.csv")
d <- d[order(d$patient, d$visit), ]
several <- names(which(table(d$patient) > 1))
d <- d[d$patient %in% several, ]
by <- function(x, f) ave(x, d$patient, FUN = f)
lag1 <- function(x) c(NA, head(x, -1))
lead1 <- function(x) c(tail(x, -1), NA)

d$t <- d$visit - 1
d$baseline <- by(d$pain, function(x) x[1])
d$pain_lag1 <- by(d$pain, lag1)
d$pain_lag1[is.na(d$pain_lag1)] <- d$pain[is.na(d$pain_lag1)]
d$outcome <- by(d$pain, lead1)
d$dose <- d$twitches
d$past <- by(d$dose, cumsum) - d$dose
d$through <- d$past + d$dose
d$level <- factor(d$t)
stopifnot(min(table(d$level)) >= 5)

# Twitchiness so far: log of the empirical-Bayes gamma frailty of earlier doses
tight <- glm.control(epsilon = 1e-14, maxit = 200)
twitchiness <- function(formula) {
  mu <- fitted(glm(formula, poisson, d, control = tight))
  e <- d$dose - mu
  cross <- sum(tapply(e, d$patient, sum)^2) - sum(e^2)
  weight <- sum(tapply(mu, d$patient, sum)^2) - sum(mu^2)
  k <- weight / cross
  stopifnot(k > 0.2, k < 1e4)
  log((k + d$past) / (k + by(mu, cumsum) - mu))
}
d$tw_history <- twitchiness(dose ~ pain + pain_lag1 + baseline + level)
d$tw_part <- twitchiness(dose ~ baseline + level)

# Dose weights
log_density <- function(formula) {
  fit <- glm.nb(formula, d, control = glm.control(epsilon = 1e-14, maxit = 500))
  list(value = dnbinom(d$dose, size = fit$theta, mu = fitted(fit), log = TRUE), fit = fit)
}
full <- log_density(dose ~ pain + pain_lag1 + baseline + tw_history + level)
part <- log_density(dose ~ baseline + tw_part + level)
d$dose_weight <- exp(by(part$value - full$value, cumsum))

# Dropout weights: rows at which staying was open
planned <- max(d$t)
d$stayed <- as.numeric(!is.na(d$outcome))
d$due <- d$t > 0 & d$t < planned
better <- d$baseline - d$pain
for (cut in c(10, 20, 30, 50)) d[[paste0("r", cut)]] <- as.numeric(better > 0 & better >= cut / 100 * d$baseline)
stay <- function(formula) {
  p <- rep(1, nrow(d))
  p[d$due] <- fitted(glm(formula, binomial, d[d$due, ], control = tight))
  p
}
chance <- stay(stayed ~ t + log1p(t) + baseline + log1p(dose) + pain + pain_lag1 + r10 + r20 + r30 + r50)
stable <- stay(stayed ~ t + log1p(t) + baseline + log1p(dose))
d$ratio <- stable / chance
d$dropout_weight <- exp(by(log(d$ratio), cumsum))

# Marginal structural model
seen <- !is.na(d$outcome)
product <- (d$dose_weight * d$dropout_weight)[seen]
limits <- quantile(product, c(0.01, 0.99))
s <- d[seen, ]
s$weight <- pmin(pmax(product, limits[1]), limits[2])
s$time <- s$t + 1
s$first <- s$baseline - mean(d$baseline)
s$level <- droplevels(s$level)
msm <- geeglm(outcome ~ 0 + through + level + first + first:time + first:log1p(time),
              data = s, weights = weight, id = patient, corstr = "independence", scale.fix = FALSE)
knot <- 30
s$hinge <- pmax(s$through - knot, 0)
msm30 <- geeglm(outcome ~ 0 + hinge + level + first + first:time + first:log1p(time),
                data = s, weights = weight, id = patient, corstr = "independence")

# g-estimation, one lag, by matrices, with the dose model stacked into the sandwich
x <- model.matrix(~ 0 + pain + pain_lag1 + baseline + tw_history + level, d)
pois <- glm(dose ~ 0 + x, poisson, d, control = tight)
e <- fitted(pois)
snmm <- function(weight) {
  m <- cbind(x, d$past)[seen, ]
  m <- m[, colSums(m != 0) > 0]  # the last visit gives no outcome
  z <- cbind((d$dose - e)[seen], m)
  dd <- cbind(d$dose[seen], m)
  a <- t(z) %*% (weight * dd)
  theta <- solve(a, t(z) %*% (weight * s$outcome))
  r <- weight * as.vector(s$outcome - dd %*% theta)
  g <- rowsum(z * r, s$patient)
  score <- rowsum(x * (d$dose - e), d$patient)
  info <- t(x) %*% (x * e)
  slope <- -colSums((x * e)[seen, ] * r)
  extra <- matrix(0, nrow(score), ncol(g))
  extra[, 1] <- score %*% solve(info, slope)
  full_g <- extra
  full_g[match(rownames(g), rownames(score)), ] <- full_g[match(rownames(g), rownames(score)), ] + g
  inv <- solve(a)
  v <- inv %*% crossprod(full_g) %*% t(inv)
  c(theta[1], sqrt(v[1, 1]))
}
w1 <- d$ratio[seen]
w1 <- pmin(pmax(w1, quantile(w1, 0.01)), quantile(w1, 0.99))
plain <- snmm(rep(1, sum(seen)))
weighted <- snmm(w1)

term <- function(fit) unlist(summary(fit)$coefficients[1, 1:2])
out <- rbind(
  c("n_rows", nrow(d), NA),
  c("dispersion_history", 1 / full$fit$theta, NA),
  c("dispersion_baseline", 1 / part$fit$theta, NA),
  c("pain_coefficient", coef(full$fit)["pain"], NA),
  c("dose_weight_mean", mean(d$dose_weight[seen]), NA),
  c("dose_weight_max", max(d$dose_weight[seen]), NA),
  c("dropout_weight_mean", mean(d$dropout_weight[seen]), NA),
  c("dropout_weight_max", max(d$dropout_weight[seen]), NA),
  c("weight_sum", sum(s$weight), NA),
  c("msm", term(msm)),
  c("msm_past_30", term(msm30)),
  c("snmm_lag1", plain),
  c("snmm_lag1_dropout", weighted)
)
out <- data.frame(quantity = out[, 1], value = as.numeric(out[, 2]), std_error = as.numeric(out[, 3]))
write.csv(format(out, digits = 12, trim = TRUE), "expected.csv", row.names = FALSE, quote = FALSE)
