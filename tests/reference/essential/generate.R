# Writes input.csv and expected.csv beside it: `Rscript generate.R` in this folder. R 4.2.2, base only.
# Simulated data; the parameters are invented.
set.seed(20261125)
n <- 40; rows <- list()
for (i in 1:n) {
  k <- sample(3:6, 1); u <- rnorm(1); pain <- 6 + rnorm(1)
  for (v in 1:k) {
    ins <- 2 + rpois(1, 2)
    some <- rbinom(1, 1, plogis(-0.3 + 0.3 * ins + 0.5 * u))
    rows[[length(rows) + 1]] <- data.frame(patient = i - 1, visit = v, pain = pain, twitches = some * (1 + rpois(1, 3)), insertions = ins)
    pain <- pain - 0.3 - 0.5 * some + rnorm(1, 0, 0.9)
  }
}
d <- do.call(rbind, rows)
d$pain <- round(d$pain, 2)
write.csv(d, "input.csv", row.names = FALSE)

# --- the comparison, written out: strata are visit x insertions, sparse levels pooled with the one before
level <- function(x) {  # a level opens when both it and the one before hold at least five rows
  counts <- table(x); values <- sort(unique(x)); out <- integer(length(values)); held <- counts[[1]]
  for (j in seq_along(values)[-1]) {
    opens <- held >= 5 && counts[[j]] >= 5
    out[j] <- out[j - 1] + opens
    held <- if (opens) counts[[j]] else held + counts[[j]]
  }
  out[match(x, values)]
}
first <- ave(seq_len(nrow(d)), d$patient, FUN = min)
nxt <- c(d$pain[-1], NA); nxt[c(d$patient[-1] != d$patient[-nrow(d)], TRUE)] <- NA
before <- c(NA, d$pain[-nrow(d)]); before[first == seq_len(nrow(d))] <- NA
past <- ave(d$twitches, d$patient, FUN = function(x) cumsum(x) - x)
d$stratum <- paste(level(d$visit), level(d$insertions))
d$change <- nxt - d$pain; d$any <- as.numeric(d$twitches > 0)
d$before <- ifelse(is.na(before), d$pain, before); d$none_before <- as.numeric(is.na(before))
d$first <- d$pain[first]; d$past <- past

contrast <- function(data, exposure) {
  data$x <- data[[exposure]]
  fit <- lm(change ~ x + pain + before + none_before + first + past + insertions + factor(stratum), data)
  # deviations from stratum means, Mancl and DeRouen's correction for the columns, n / (n - S) for the constants
  centred <- function(v) v - ave(v, data$stratum)
  y <- centred(data$change); x <- centred(data$x)
  Z <- sapply(c("pain", "before", "none_before", "first", "past", "insertions"), function(k) centred(data[[k]]))
  Z <- Z[, qr(Z)$pivot[seq_len(qr(Z)$rank)], drop = FALSE]
  own <- residuals(lm(x ~ Z - 1)); X <- cbind(own, Z)
  b <- solve(crossprod(X), crossprod(X, y)); e <- y - X %*% b; bread <- solve(crossprod(X)); meat <- 0
  for (p in unique(data$patient)) {
    at <- data$patient == p; Xi <- X[at, , drop = FALSE]
    H <- Xi %*% bread %*% t(Xi)
    s <- t(Xi) %*% solve(diag(sum(at)) - H, e[at]); meat <- meat + s %*% t(s)
  }
  V <- bread %*% meat %*% bread * nrow(X) / (nrow(X) - length(unique(data$stratum)))
  g <- tapply(own^2, data$patient, sum); free <- sum(g)^2 / sum(g^2) - 1
  list(estimate = coef(fit)[["x"]], std_error = sqrt(V[1, 1]), degrees = free, n = nrow(X))
}
use <- d[!is.na(d$change), ]
kinds <- ave(use$any, use$stratum, FUN = function(x) length(unique(x)))
people <- ave(use$patient, use$stratum, FUN = function(x) length(unique(x)))
matched <- use[kinds == 2 & people > 1, ]
a <- contrast(matched, "any"); s <- contrast(use, "twitches")
tost <- function(m) max(pt((a$estimate - m) / a$std_error, a$degrees), pt((-m - a$estimate) / a$std_error, a$degrees))

# --- landmark at visit 2: twitches of visits 1 and 2, change from the rating at visit 2 to the one at visit 3
w <- reshape(d[, c("patient", "visit", "pain", "twitches", "insertions")], idvar = "patient", timevar = "visit", direction = "wide")
w$early <- w$twitches.1 + w$twitches.2; w$used <- w$insertions.1 + w$insertions.2
l <- lm(I(pain.3 - pain.2) ~ early + pain.2 + pain.1 + used, w)
out <- rbind(
  data.frame(term = "next_any", what = names(a), value = unlist(a)),
  data.frame(term = "next_per_twitch", what = names(s), value = unlist(s)),
  data.frame(term = "equivalence_1.3", what = "p_value", value = tost(1.3)),
  data.frame(term = "equivalence_1.3", what = "conf_low", value = a$estimate - qt(0.95, a$degrees) * a$std_error),
  data.frame(term = "equivalence_1.3", what = "conf_high", value = a$estimate + qt(0.95, a$degrees) * a$std_error),
  data.frame(term = "landmark_next_per_twitch", what = "estimate", value = coef(l)[["early"]])
)
write.csv(format(out, digits = 12), "expected.csv", row.names = FALSE, quote = FALSE)
