#include "identity/qr.h"

#include <qrcodegen/qrcodegen.h>

#include "base/secret.h"

enum { VERSION_MAX = 20 };

static err_t add_rows(const uint8_t *code, struct buf *out) {
    int size = qrcodegen_getSize(code);
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++) {
            TRY(buf_add_byte(out, qrcodegen_getModule(code, x, y) ? '1' : '0'));
        }
        TRY(buf_add_byte(out, '\n'));
    }
    return OK;
}

err_t qr_rows(const char *text, struct buf *out) {
    uint8_t code[qrcodegen_BUFFER_LEN_FOR_VERSION(VERSION_MAX)];
    uint8_t scratch[qrcodegen_BUFFER_LEN_FOR_VERSION(VERSION_MAX)];
    bool fits = qrcodegen_encodeText(text, scratch, code, qrcodegen_Ecc_MEDIUM, 1, VERSION_MAX,
                                     qrcodegen_Mask_AUTO, true);
    err_t err = fits ? add_rows(code, out) : FAIL(ERR_TOO_LONG);
    secret_wipe(scratch, sizeof scratch);
    secret_wipe(code, sizeof code);
    return err;
}
