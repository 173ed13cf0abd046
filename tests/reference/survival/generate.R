# Writes expected.csv (dataset, method, term, at, value). Run from this folder after simulate.R: Rscript generate.R
suppressMessages(library(survival))
options(digits = 15)
rows <- list()
file_ <- function(dataset, method, term, value, at = "") rows[[length(rows) + 1]] <<- data.frame(dataset = dataset, method = method,
  term = term, at = if (identical(at, "")) "" else trimws(formatC(at, digits = 12, format = "g")),
  value = trimws(formatC(value, digits = 15, format = "g")))

# ---- intervals of a diary: last sore entry -> first entry free of soreness after it; never sore: (0, first entry]
diary <- read.csv("diary.csv"); visits <- read.csv("visits.csv")
diary <- diary[order(diary$patient, diary$visit, diary$hours), ]
episodes <- do.call(rbind, lapply(split(diary, list(diary$patient, diary$visit), drop = TRUE), function(d) {
  last <- if (any(d$soreness > 0)) max(d$hours[d$soreness > 0]) else 0
  after <- d$hours[d$hours > last]
  data.frame(patient = d$patient[1], visit = d$visit[1], left = last, right = if (length(after)) min(after) else Inf,
             first_entry = min(d$hours), sore = last > 0)
}))
episodes <- episodes[order(episodes$patient, episodes$visit), ]
write.csv(episodes, "episodes.csv", row.names = FALSE)
every <- read.csv("intervals.csv")

survivor <- list(weibull = function(t, a, s) exp(-exp((log(t) - a) / s)),
                 lognormal = function(t, a, s) pnorm((log(t) - a) / s, lower.tail = FALSE))
surv2 <- function(d) Surv(ifelse(d$left == 0, NA, d$left), ifelse(is.finite(d$right), d$right, NA), type = "interval2")

# ---- Turnbull by survival, and tightly: softmax masses on the innermost intervals, maximised by Newton (nlm) from EM
innermost <- function(left, right) {
  ends <- data.frame(x = c(left, right), kind = rep(c(2, 1), each = length(left)))     # (left, right]: at a tie right ends come first
  ends <- ends[order(ends$x, ends$kind), ]
  k <- which(ends$kind[-nrow(ends)] == 2 & ends$kind[-1] == 1)
  unique(data.frame(low = ends$x[k], high = ends$x[k + 1]))
}
turnbull <- function(d, weight = rep(1, nrow(d))) {
  s <- innermost(d$left, d$right)
  A <- outer(d$left, s$low, "<=") & outer(d$right, s$high, ">=")
  p <- rep(1 / nrow(s), nrow(s))
  for (i in 1:200000) { new <- drop(p * crossprod(A, weight / drop(A %*% p)) / sum(weight)); done <- max(abs(new - p)) < 1e-15; p <- new; if (done) break }
  list(s = s, p = p, loglik = sum(weight * log(drop(A %*% p))))
}
for (case in c("diary", "diary_sore", "intervals")) {
  d <- switch(case, diary = episodes, diary_sore = episodes[episodes$sore, ], intervals = every)
  fit <- survfit(surv2(d) ~ 1)
  step <- stepfun(fit$time, c(1, fit$surv))
  tight <- turnbull(d)
  file_(case, "turnbull_survfit", "survival", step(c(6, 12, 24, 48, 72)), c(6, 12, 24, 48, 72))
  file_(case, "turnbull", "log_likelihood", tight$loglik)
  file_(case, "turnbull", "low", tight$s$low, seq_along(tight$p))
  file_(case, "turnbull", "high", tight$s$high, seq_along(tight$p))
  file_(case, "turnbull", "mass", tight$p, seq_along(tight$p))
  stopifnot(max(abs(step(72) - sum(tight$p[tight$s$low >= 72]))) < 2e-3)
  for (family in c("weibull", "lognormal")) {
    fit <- survreg(surv2(d) ~ 1, dist = family, control = survreg.control(rel.tolerance = 1e-13, maxiter = 200))
    file_(case, family, "log_likelihood", fit$loglik[1]); file_(case, family, "location", coef(fit)); file_(case, family, "scale", fit$scale)
    file_(case, family, "se_location", sqrt(fit$var[1, 1])); file_(case, family, "se_log_scale", sqrt(fit$var[2, 2]))
    q <- predict(fit, type = "quantile", p = c(.5, .75, .9), newdata = d[1, , drop = FALSE])
    file_(case, family, "quantile", as.numeric(q), c(.5, .75, .9))
    if (case != "intervals") {
      # survreg(robust = TRUE) takes its scores from residuals(type = "dfbeta"), which for interval rows are not the derivatives of
      # its own log-likelihood (survival 3.5-3); here the scores are differentiated numerically and summed by patient.
      p <- c(coef(fit), log(fit$scale)); h <- 1e-5
      S <- function(t, p) ifelse(t == 0, 1, ifelse(is.finite(t), survivor[[family]](t, p[1], exp(p[2])), 0))
      each <- function(p) log(S(d$left, p) - S(d$right, p))
      stopifnot(abs(sum(each(p)) - fit$loglik[1]) < 1e-8)
      score <- sapply(1:2, function(k) { e <- h * (1:2 == k); (each(p + e) - each(p - e)) / (2 * h) })
      robust <- fit$var %*% crossprod(rowsum(score, d$patient)) %*% fit$var
      file_(case, family, "robust_se_location", sqrt(robust[1, 1])); file_(case, family, "robust_se_log_scale", sqrt(robust[2, 2]))
    }
  }
}

# ---- sore episodes with delayed entry: seen only if still sore at the first entry. survreg has no delayed entry: written out here.
d <- episodes[episodes$sore, ]
for (family in names(survivor)) {
  S <- function(t, p) ifelse(t == 0, 1, ifelse(is.finite(t), survivor[[family]](t, p[1], exp(p[2])), 0))
  minus <- function(p) -sum(log(S(d$left, p) - S(d$right, p)) - log(S(d$first_entry, p)))
  best <- nlminb(c(3, 0), minus, control = list(rel.tol = 1e-15, x.tol = 1e-12))
  best <- nlminb(best$par, minus, control = list(rel.tol = 1e-15, x.tol = 1e-12)); p <- best$par
  file_("diary_sore", paste0(family, "_entry"), "log_likelihood", -best$objective)
  file_("diary_sore", paste0(family, "_entry"), "location", p[1]); file_("diary_sore", paste0(family, "_entry"), "scale", exp(p[2]))
  file_("diary_sore", paste0(family, "_entry"), "resolved_48", (S(1, p) - S(48, p)) / S(1, p))
}

# ---- shares with one patient left out at a time
share <- function(d) { t <- turnbull(d); F <- function(h) sum(t$p[t$s$high <= h])
  c(sore = 1 - F(1), free_48 = F(48), resolved_48 = (F(48) - F(1)) / (1 - F(1))) }
whole <- share(episodes); ids <- unique(episodes$patient); G <- length(ids)
left_out <- sapply(ids, function(i) share(episodes[episodes$patient != i, ]))
se <- sqrt((G - 1) / G * rowSums((left_out - rowMeans(left_out))^2))
for (k in names(whole)) { file_("diary", "shares", k, whole[[k]]); file_("diary", "shares", paste0("se_", k), se[[k]]) }

# ---- soreness against twitches: entry level, hour as a factor, visit number linear, jackknife over patients
d <- merge(diary, visits)
d$mean_twitches <- ave(d$twitches, d$patient, FUN = mean)
both <- merge(unique(d[c("patient", "visit", "twitches")]), aggregate(twitches ~ patient, unique(d[c("patient", "visit", "twitches")]), mean), by = "patient", suffixes = c("", "_mean"))
d <- merge(d, both[c("patient", "visit", "twitches_mean")]); d$within <- d$twitches - d$twitches_mean
models <- list(pooled = soreness ~ factor(hours) + visit + twitches, split = soreness ~ factor(hours) + visit + within + twitches_mean)
for (m in names(models)) {
  b <- coef(lm(models[[m]], d)); ids <- unique(d$patient); G <- length(ids)
  jack <- sapply(ids, function(i) coef(lm(models[[m]], d[d$patient != i, ])))
  se <- sqrt((G - 1) / G * rowSums((jack - rowMeans(jack))^2))
  keep <- intersect(names(b), c("visit", "twitches", "within", "twitches_mean"))
  for (k in keep) { file_("diary", paste0("dose_", m), k, b[[k]]); file_("diary", paste0("dose_", m), paste0("se_", k), se[[k]]) }
}

# ---- Aalen-Johansen, in visits and in dose
courses <- read.csv("courses.csv")
for (scale in c("visit", "dose")) {
  courses$end <- pmax(courses[[scale]], .5)
  state <- factor(courses$event, 0:3, c("censored", "response", "no_benefit", "other"))
  fit <- survfit(Surv(end, state) ~ 1, data = courses, id = patient)
  for (s in fit$states) { k <- match(s, fit$states); name <- if (s == "(s0)") "in_treatment" else s
    file_("courses", paste0("aalen_johansen_", scale), name, fit$pstate[, k], fit$time)
    file_("courses", paste0("aalen_johansen_", scale), paste0("se_", name), fit$std.err[, k], fit$time) }
}

# ---- Andersen-Gill with a robust variance; mean cumulative function
relapses <- read.csv("relapses.csv")
for (ties in c("breslow", "efron")) {
  fit <- coxph(Surv(start, stop, status) ~ dose + tuned + cluster(patient), relapses, ties = ties, control = coxph.control(eps = 1e-11, iter.max = 100))
  file_("relapses", paste0("andersen_gill_", ties), "log_likelihood", fit$loglik[2])
  for (k in names(coef(fit))) { file_("relapses", paste0("andersen_gill_", ties), k, coef(fit)[[k]])
    file_("relapses", paste0("andersen_gill_", ties), paste0("se_", k), sqrt(diag(fit$naive.var))[match(k, names(coef(fit)))])
    file_("relapses", paste0("andersen_gill_", ties), paste0("robust_se_", k), sqrt(diag(fit$var))[match(k, names(coef(fit)))]) }
}
fit <- survfit(Surv(start, stop, status) ~ 1, relapses, id = patient, stype = 2, ctype = 1)
at <- fit$n.event > 0
file_("relapses", "mean_cumulative", "mean", fit$cumhaz[at], fit$time[at]); file_("relapses", "mean_cumulative", "se", fit$std.chaz[at], fit$time[at])
# by hand: dN/Y at each relapse time, and the Lawless-Nadeau robust variance sum over patients of (sum_t (dN_i - Y_i dN/Y) / Y)^2
times <- sort(unique(relapses$stop[relapses$status == 1]))
ids <- unique(relapses$patient)
Y <- sapply(times, function(t) sapply(ids, function(i) any(relapses$patient == i & relapses$start < t & relapses$stop >= t)))
N <- sapply(times, function(t) sapply(ids, function(i) sum(relapses$patient == i & relapses$stop == t & relapses$status == 1)))
rate <- colSums(N) / colSums(Y); hand <- cumsum(rate)
parts <- t(apply(sweep(N - sweep(Y, 2, rate, "*"), 2, colSums(Y), "/"), 1, cumsum)); lawless <- sqrt(colSums(parts^2))
stopifnot(max(abs(hand - fit$cumhaz[at])) < 1e-10); cat("survfit's se against Lawless-Nadeau:", max(abs(lawless - fit$std.chaz[at])), "\n")
file_("relapses", "mean_cumulative_hand", "mean", hand, times); file_("relapses", "mean_cumulative_hand", "se", lawless, times)
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE, quote = FALSE)
