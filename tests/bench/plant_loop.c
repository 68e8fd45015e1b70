/* The rival of the generated loop: E. coli in fed-batch with dissolved oxygen, RK4, by hand.
 *
 * The equations are those of AeratedFedBatch in bench_simulator.py, with what depends on the
 * parameters alone taken out of the loop. Fixed: a faster generated loop is no reason to touch it.
 * States: X S A P E V O. Inputs of a step: F (L/h), kLa (1/h), induced. Parameters: 18 of EColi, in
 * order, then S_f (g/L) and O* (g/L). Time in h.
 */
#include <math.h>

#define NX 7
#define NU 3

typedef struct {
  double qSmax, KS, KA, qOmax, KiS, KiO, qm, Yem, Yof, YXA, YAS, qAmax, KO, qPm, Kmu, Kimu, kE, YXP;
  double S_f, O_sat;
} par;

static const double CS = 1.0 / 30.0, CX = 0.040, CP = 0.044, GS = 4.0, GX = 4.2, GP = 4.2, MO = 32.0;

typedef struct {
  double burn, grow, acetate, product, aerobic, anaerobic;
} fixed;

static inline double lesser(double a, double b) {
  double total = a + b, d = a - b;
  return 2.0 * a * b / (total + sqrt(d * d + 4e-3 * a * b + 1e-24) + 1e-12);
}

static inline void rhs(const double *x, const double *u, const par *k, const fixed *f, double *dx) {
  double X = x[0], S = x[1], A = x[2], P = x[3], E = x[4], V = x[5], O = x[6];
  double D = u[0] / V, e = E * u[2];
  double cap = k->qOmax / (1.0 + A / k->KiO) * O / (O + k->KO);
  double qS = k->qSmax / (1.0 + A / k->KiS) * S / (S + k->KS);
  double aerated = cap / (cap + 0.02);
  double burn = lesser(lesser(qS, k->qm), cap / f->burn);
  double spare = cap - f->burn * burn;
  double grow = lesser(qS - burn, spare / f->grow);
  double of = qS - burn - grow;
  double qAc = lesser(k->qAmax * A / (A + k->KA), (spare - f->grow * grow) / f->acetate);
  double endogenous = (k->qm - burn) * k->Yem * aerated;
  double mu_grow = k->Yem * grow;
  double qP = k->qPm * e * mu_grow / (k->Kmu + mu_grow + mu_grow * mu_grow / k->Kimu);
  grow -= f->product * qP;
  double qAp = of * (aerated * f->aerobic + (1.0 - aerated) * f->anaerobic);
  double mu = k->Yem * grow + k->Yof * of + k->YXA * qAc - endogenous - k->YXP * qP;
  double qO = (GS * CS * (qS - qAp + qAc) - GX * CX * mu - GP * CP * qP) * (MO / 4.0);
  dx[0] = (mu - D) * X;
  dx[1] = D * (k->S_f - S) - qS * X;
  dx[2] = (qAp - qAc) * X - D * A;
  dx[3] = qP * X - D * P;
  dx[4] = -k->kE * e;
  dx[5] = u[0];
  dx[6] = u[1] * (k->O_sat - O) - qO * X - D * O;
}

void plant_loop(double *x, const double *u, const double *p, double h, long long steps, double *path) {
  const par *k = (const par *)p;
  double of_cells = k->Yof * CX / CS;
  fixed f = {GS * CS / 4.0 * MO,
             (GS * CS - GX * CX * k->Yem) / 4.0 * MO,
             (GS * CS - GX * CX * k->YXA) / 4.0 * MO,
             (GP * CP - GX * CX * k->YXP) / (GS * CS),
             (1.0 - of_cells) * k->YAS,
             1.0 - GX / GS * of_cells};
  double a[NX], b[NX], c[NX], d[NX], y[NX];
  for (long long n = 0; n < steps; n++, u += NU) {
    rhs(x, u, k, &f, a);
    for (int i = 0; i < NX; i++) y[i] = x[i] + 0.5 * h * a[i];
    rhs(y, u, k, &f, b);
    for (int i = 0; i < NX; i++) y[i] = x[i] + 0.5 * h * b[i];
    rhs(y, u, k, &f, c);
    for (int i = 0; i < NX; i++) y[i] = x[i] + h * c[i];
    rhs(y, u, k, &f, d);
    for (int i = 0; i < NX; i++) x[i] += h / 6.0 * (a[i] + 2.0 * (b[i] + c[i]) + d[i]);
    for (int i = 0; i < NX; i++) path[n * NX + i] = x[i];
  }
}
