/* QR codes (ISO/IEC 18004), by libqrcodegen: what an authenticator app scans from a page. */
#ifndef POSTERN_IDENTITY_QR_H
#define POSTERN_IDENTITY_QR_H

#include "base/err.h"
#include "base/span.h"

enum { QR_ROWS_BYTES = 97 * 98 + 1 }; /* of version 20, with a NUL */

/*
 * Appends a line a row, from the top, with '1' for each dark module and '0' for each light one. The
 * light margin of four modules is for whoever draws it. ERR_TOO_LONG for what does not fit version
 * 20 at error correction level M (some 660 bytes).
 */
err_t qr_rows(const char *text, struct buf *out);

#endif
