/* Rust's standard library takes ProcessPrng from bcryptprimitives.dll, which Wine 8 does not have.
 * It is made of RtlGenRandom here. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom, in advapi32 */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    const ULONG most = 0x40000000u;
    while (length) {
        ULONG part = length > most ? most : (ULONG)length;
        if (!SystemFunction036(buffer, part))
            return FALSE;
        buffer += part;
        length -= part;
    }
    return TRUE;
}
